"""Stand-ins for what README's ten steps call, with effects: `python -m tests.infra.first_hour_tools NAME ARGUMENTS`.

`terraform` is the real one, beside a provider that only knows Google's schema: what an `apply` would make, with the
configuration and the variables as they lie there, is planned and kept in PAGE_MADE, where `output` finds what the
configuration's own outputs say. `make` knows the page's targets: what needs a network has been made before. Secrets are
rotation_tools.py's, the rest page_tools.py's business. Told by the environment: PAGE_MADE (a folder), PAGE_FUNCTIONS (where
the functions will answer), and what the other two read.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.infra import page_tools, rotation_tools
from tests.infra.page_tools import Form, WrongError
from tests.terraform.real_terraform import ROOT, terraform_in

PULLER = Path("dist") / "skill-sync-puller.pyz"
CONFIGURATION = Path("infra") / "terraform"
VARIABLES = "variables.json"
_SECRET, _FUNCTION = "google_secret_manager_secret", "google_cloudfunctions2_function"
_PLAN = """
mock_provider "google" {{
  override_during = plan
  mock_resource "{function}" {{
    defaults = {{ service_config = {{ uri = "{address}" }} }}
  }}
}}
run "planned" {{
  command = plan
  plan_options {{ target = [{target}] }}
}}
"""


def _made() -> Path:
    return Path(os.environ["PAGE_MADE"])


def _need(name: str, command: str) -> None:
    if not (_made() / name).exists():
        raise WrongError(f"this wants `{command}` first")


def _note(name: str) -> str:
    (_made() / name).touch()
    return ""


def _make(arguments: list[str]) -> str:
    match arguments:
        case [".venv/.runtime"]:
            program = Path(".venv") / "bin" / "python"
            program.parent.mkdir(parents=True)
            program.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
            program.chmod(0o755)
        case ["package"]:
            command = [str(shutil.which("make", path=os.defpath)), "--no-print-directory", "package"]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout.rstrip()
        case ["puller"]:
            PULLER.parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / PULLER, PULLER)
        case _:
            raise WrongError(f"the page has no such target: {arguments}")
    return ""


def _terraform(arguments: list[str]) -> str:
    match arguments:
        case ["-chdir=infra/terraform", "init"]:
            done = terraform_in(CONFIGURATION.absolute())("init", "-no-color")
            if done.returncode:
                raise WrongError(done.stdout + done.stderr)
            return done.stdout
        case ["-chdir=infra/terraform", "apply", *targets] if all(each.startswith("-target=") for each in targets):
            return _apply(targets)
        case ["-chdir=infra/terraform", "output", "-json", name]:
            _need("outputs.json", "terraform apply")
            outputs = json.loads((_made() / "outputs.json").read_text())
            if name not in outputs:
                raise WrongError(f'Output "{name}" not found')
            return json.dumps(outputs[name]["after"])
    raise WrongError(f"the page has no such command: {arguments}")


def _apply(targets: list[str]) -> str:
    _need("gcloud-for-others", "gcloud auth application-default login")
    planned = _planned(", ".join(each.removeprefix("-target=") for each in targets))
    resources = [each for each in planned["resource_changes"] if each["mode"] == "managed"]
    for secret in _of(resources, _SECRET):
        (Path(os.environ["PAGE_VAULT"]) / secret["secret_id"]).mkdir(exist_ok=True)
    for function in _of(resources, _FUNCTION):
        for mounted in function["service_config"][0]["secret_volumes"]:
            if not (Path(os.environ["PAGE_MOUNTS"]) / mounted["secret"]).exists():
                raise WrongError(f"{function['name']}: {mounted['secret']} has no version, so it does not start")
    (_made() / "resources.json").write_text(json.dumps(resources))
    if not targets:
        (_made() / "outputs.json").write_text(json.dumps(planned["output_changes"]))
    return f"Apply complete! Resources: {len(resources)} added, 0 changed, 0 destroyed."


def _of(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each["change"]["after"] for each in resources if each["type"] == kind]


def _planned(target: str) -> dict[str, Any]:
    """The plan of the configuration with the variables that lie beside it."""
    folder = CONFIGURATION / "page"
    folder.mkdir(exist_ok=True)
    text = _PLAN.format(function=_FUNCTION, address=os.environ["PAGE_FUNCTIONS"], target=target)
    (folder / "page.tftest.hcl").write_text(text)
    done = terraform_in(CONFIGURATION.absolute())("test", "-json", "-verbose", f"-test-directory={folder.name}")
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        raise WrongError("\n".join(line.get("diagnostic", {}).get("detail") or line["@message"] for line in told))
    plan: dict[str, Any] = next((line["test_plan"] for line in told if line["type"] == "test_plan"), {})
    if "resource_changes" not in plan:
        raise WrongError(f"there is nothing to make{' at ' if target else ''}{target}")
    return plan


def _account(_words: list[str], _options: dict[str, str]) -> str:
    return _note("gcloud-itself")


def _project(words: list[str], _: dict[str, str]) -> str:
    (_made() / "project").write_text(words[0])
    return "Updated property [core/project]."


def _for_others(_words: list[str], _options: dict[str, str]) -> str:
    # It asks which project pays for the calls, and takes the one that is set.
    _need("project", "gcloud config set project")
    return _note("gcloud-for-others")


def _add_version(words: list[str], options: dict[str, str]) -> str:
    _need("gcloud-itself", "gcloud auth login")
    return rotation_tools.FORMS["gcloud", "secrets", "versions", "add"].prints(words, options)


def _login(_words: list[str], _options: dict[str, str]) -> str:
    return _note("railway-login")


def _link(_words: list[str], _options: dict[str, str]) -> str:
    _need("railway-login", "railway login")
    return _note("railway-link")


def _set(words: list[str], options: dict[str, str]) -> str:
    """Keep the variables of a service, as `{service: {name: value}}`."""
    _need("railway-link", "railway link")
    if "--stdin" in options:
        if len(words) != 1 or "=" in words[0]:
            raise WrongError(f"--stdin goes with one KEY, not {words}")
        words = [f"{words[0]}={sys.stdin.read().rstrip()}"]
    pairs = dict(word.partition("=")[::2] for word in words)
    if not all(pairs) or not all(pairs.values()):
        raise WrongError(f"expected KEY=VALUE, got {sorted(pairs)}")
    file = _made() / VARIABLES
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept[options["--service"]] = {**kept.get(options["--service"], {}), **pairs}
    file.write_text(json.dumps(kept))
    return f"Set variables {', '.join(pairs)}"


_SWITCHES = frozenset({"--stdin", "--skip-deploys"})
FORMS: dict[tuple[str, ...], Form] = {
    ("gcloud", "auth", "login"): Form(words=0, needs=frozenset(), prints=_account),
    ("gcloud", "config", "set", "project"): Form(words=1, needs=frozenset(), prints=_project),
    ("gcloud", "auth", "application-default", "login"): Form(words=0, needs=frozenset(), prints=_for_others),
    ("gcloud", "secrets", "versions", "add"): Form(
        words=1, needs=frozenset({"--data-file", "--project"}), prints=_add_version
    ),
    ("railway", "login"): Form(words=0, needs=frozenset(), prints=_login),
    ("railway", "link"): Form(words=0, needs=frozenset(), prints=_link),
    ("railway", "variable", "set"): Form(
        words=1, more=True, needs=frozenset({"--service"}), may=_SWITCHES, switches=_SWITCHES, prints=_set
    ),
}
OWN = {"make": _make, "terraform": _terraform}


def main(name: str, *arguments: str) -> int:
    """Run one of them; returns its exit status."""
    if name not in OWN:
        return page_tools.main(name, *arguments, forms=FORMS)
    with Path(os.environ["PAGE_CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps([name, *arguments]) + "\n")
    try:
        sys.stdout.write(OWN[name](list(arguments)) + "\n")
    except WrongError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return page_tools.WRONG
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
