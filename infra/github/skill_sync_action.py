"""What the steps of the action do: fetch a commit, validate its skills, or pack it and hand it to the functions.

It runs on GitHub's runner with Python's standard library and git alone, reads its inputs from the environment, and speaks in
workflow commands. Rules and decisions are the functions' business.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pack_commit import StepError, git, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_PACKED_BYTES = 32 * 2**20
MAX_ANSWER_BYTES = 8 * 2**20
CALL_SECONDS = 60.0
PATIENCE_SECONDS = 240.0
"""So long a busy or failing service is asked again; GitHub's tokens are asked for anew each time."""
LONGEST_PAUSE_SECONDS = 30.0
_NEEDED = ("PyYAML", "cryptography", "httpx", "rich")
"""What of requirements.txt the validator loads."""
_OK, _UNAVAILABLE, _NO_ANSWER = 200, 503, 0
_SUPERSEDED = "UPLOAD_BEHIND"
_EXACT = b"* -text -ident -filter -working-tree-encoding\n"


def main(arguments: Sequence[str], environment: Mapping[str, str], pause: Callable[[float], None] = time.sleep) -> int:
    """Run one step.

    Args:
        arguments: `fetch`, `validate` or `deploy`.
        environment: That of the runner, with the inputs as `INPUT_…`.
        pause: Waits so many seconds.

    Returns:
        The exit status: 0 done, 1 failed, or a skill is kept out.
    """
    steps = {"fetch": fetch, "validate": validate, "deploy": lambda found: deploy(found, pause)}
    if len(arguments) != 1 or arguments[0] not in steps:
        _command("error", f"expected one of {', '.join(steps)}")
        return 1
    try:
        return steps[arguments[0]](environment)
    except StepError as error:
        _command("error", str(error), title="skill-sync")
        return 1


def fetch(environment: Mapping[str, str]) -> int:
    """Fetch the commit of this run into a repository of its own, without its history."""
    server, commit = _given(environment, "GITHUB_SERVER_URL"), _given(environment, "GITHUB_SHA")
    folder = _folder(environment)
    folder.mkdir(parents=True, exist_ok=True)
    login = base64.b64encode(f"x-access-token:{environment.get('INPUT_TOKEN', '')}".encode()).decode()
    # In the environment no other user of the machine sees it, and it is written to no file.
    secret = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{server}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {login}",
        "GIT_TERMINAL_PROMPT": "0",
    }
    git(folder, "init", "--quiet")
    address = f"{server}/{_given(environment, 'GITHUB_REPOSITORY')}.git"
    git(folder, "fetch", "--quiet", "--depth", "1", "--no-tags", address, commit, environment={**environment, **secret})
    return 0


def validate(environment: Mapping[str, str]) -> int:
    """Judge the commit by the functions' own rules, and annotate what they find."""
    tool = Path(__file__).resolve().parents[2]
    if not (tool / "shared" / "cli").is_dir():
        raise StepError("the action must be used from within skill-sync's own repository: the rules are not beside it")
    folder = _folder(environment)
    # Every file as git stores it: filters and line ends of this machine would judge something else than is published.
    (folder / ".git" / "info").mkdir(exist_ok=True)
    (folder / ".git" / "info" / "attributes").write_bytes(_EXACT)
    git(folder, "checkout", "--quiet", "--force", "--detach", _given(environment, "GITHUB_SHA"))
    python = environment.get("INPUT_PYTHON") or _interpreter(environment, tool)
    command = [python, "-m", "shared.cli", "validate", str(folder), "--format", "github"]
    command += ["--root", environment.get("INPUT_ROOT", "")]
    command += ["--version-policy", environment.get("INPUT_VERSION_POLICY") or "derived"]
    sys.stdout.flush()
    return 1 if subprocess.run(command, cwd=tool, check=False).returncode else 0


def deploy(environment: Mapping[str, str], pause: Callable[[float], None]) -> int:
    """Pack the commit and hand it to the functions, again while they are busy or do not answer."""
    address = _address(environment)
    commit = _given(environment, "GITHUB_SHA")
    body = pack(_folder(environment), commit)
    if len(body) > MAX_PACKED_BYTES:
        raise StepError(f"the packed tree has {len(body)} bytes; at most {MAX_PACKED_BYTES} can be deployed")
    waited, wait = 0.0, 2.0
    while True:
        status, answer, told = _post(
            f"{address}/api/deploy", body, {"X-Commit-Sha": commit, **_proof(environment, address)}
        )
        again = status in {_NO_ANSWER, _UNAVAILABLE} or answer.get("code") == "BUSY"
        wait = min(LONGEST_PAUSE_SECONDS, told or 2 * wait)
        if not again or waited + wait > PATIENCE_SECONDS:
            return _tell(environment, commit, status, answer)
        _command("notice", f"not deployed yet ({answer.get('code', status)}); asking again in {wait:g} s")
        pause(wait)
        waited += wait


def _proof(environment: Mapping[str, str], address: str) -> dict[str, str]:
    """Return the header that proves who calls: the key, or a token that GitHub signs for this run and this service."""
    if environment.get("INPUT_API_KEY"):
        return {"x-api-key": environment["INPUT_API_KEY"]}
    asked, secret = (environment.get(f"ACTIONS_ID_TOKEN_REQUEST_{name}", "") for name in ("URL", "TOKEN"))
    if not (asked and secret):
        raise StepError("GitHub offers no OIDC token to this job: it needs the permission `id-token: write`")
    audience = environment.get("INPUT_AUDIENCE") or address
    query = urllib.parse.urlencode({"audience": audience})
    status, answer, _ = _exchange(
        urllib.request.Request(  # noqa: S310 - the runner says where its own service is
            f"{asked}{'&' if '?' in asked else '?'}{query}", headers={"Authorization": f"bearer {secret}"}
        )
    )
    token = answer.get("value")
    if status != _OK or not isinstance(token, str):
        raise StepError(f"GitHub gave no OIDC token (status {status})")
    _command("add-mask", token)
    return {"Authorization": f"Bearer {token}"}


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, Any], float | None]:
    sent = {"Content-Type": "application/gzip", "Accept": "application/json", "User-Agent": "skill-sync-action"}
    return _exchange(
        urllib.request.Request(url, data=body, headers={**sent, **headers}, method="POST")  # noqa: S310 - checked
    )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nothing: neither key nor token goes to anybody but whom it is for."""

    def redirect_request(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - as the class above has it
        """Leave the answer as it is."""


def _exchange(request: urllib.request.Request) -> tuple[int, dict[str, Any], float | None]:
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=CALL_SECONDS) as answer:
            return answer.status, _document(answer.read(MAX_ANSWER_BYTES)), None
    except urllib.error.HTTPError as error:
        with error:
            after = error.headers.get("Retry-After", "")
            return error.code, _document(error.read(MAX_ANSWER_BYTES)), float(after) if after.isdigit() else None
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        return _NO_ANSWER, {"error": f"no answer ({type(error).__name__})", "code": "UNREACHABLE"}, None


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _tell(environment: Mapping[str, str], commit: str, status: int, answer: Mapping[str, Any]) -> int:
    if answer.get("code") == _SUPERSEDED:
        _command("notice", "something newer is live already; nothing was changed", title="skill-sync")
        _output(environment, status="superseded")
        return 0
    if status != _OK:
        reasons = ", ".join(map(str, answer.get("reasons", [])))
        more = f" ({reasons}; {answer.get('next_action', '')})" if reasons else ""
        text = (
            f"{commit} was not deployed: {answer.get('error', f'status {status}')}{more} [{answer.get('code', status)}]"
        )
        raise StepError(text)
    kept_out = [each for each in answer.get("rejected", []) if isinstance(each, dict)]
    for skill in kept_out:
        _annotate(skill)
    for findings in dict(answer.get("warnings", {})).values():
        for found in findings:
            _finding("warning", found)
    _output(environment, status=answer.get("status"), deployment=answer.get("deploymentId"))
    _summary(environment, commit, answer, kept_out)
    return 1 if kept_out else 0


def _annotate(skill: Mapping[str, Any]) -> None:
    findings = skill.get("findings") or []
    for found in findings:
        _finding("error", found)
    if not findings:
        _command("error", f"{skill.get('name')} is withheld: {skill.get('reason')}", file=str(skill.get("path", "")))


def _finding(kind: str, found: Mapping[str, Any]) -> None:
    line = str(max(1, int(found.get("line", 1))))
    _command(kind, str(found.get("hint")), file=str(found.get("path")), line=line, title=str(found.get("code")))


def _output(environment: Mapping[str, str], **values: object) -> None:
    lines = "".join(f"{name}={_plain(value)}\n" for name, value in values.items())
    _append(environment.get("GITHUB_OUTPUT"), lines)


def _summary(
    environment: Mapping[str, str], commit: str, answer: Mapping[str, Any], kept_out: Sequence[Mapping[str, Any]]
) -> None:
    lines = [f"### skill-sync: {_plain(answer.get('status'))}", ""]
    lines += [f"Commit `{commit}`, deployment `{_plain(answer.get('deploymentId'))}`", ""]
    lines += [f"- `{_plain(each['name'])}` {_plain(each['version'])}" for each in answer.get("skills", [])]
    lines += [f"- `{_plain(name)}` removed" for name in answer.get("removed", [])]
    lines += [f"- `{_plain(each.get('name'))}` kept out: {_plain(each.get('reason'))}" for each in kept_out]
    _append(environment.get("GITHUB_STEP_SUMMARY"), "\n".join([*lines, ""]))


def _append(path: str | None, text: str) -> None:
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(text)


def _plain(value: object) -> str:
    """Return a text in which nothing means anything to Markdown or to the runner's files."""
    return re.sub(r"[^A-Za-z0-9._+-]", "?", str(value))[:200]


def _command(name: str, text: str, **properties: str) -> None:
    shown = ",".join(f"{key}={_escaped(value, ':,')}" for key, value in properties.items() if value)
    sys.stdout.write(f"::{name}{' ' if shown else ''}{shown}::{_escaped(text, '')}\n")
    sys.stdout.flush()


def _escaped(text: str, more: str) -> str:
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(f"%{ord(char):02X}" if char in f"%\r\n{more}" else char for char in plain)


def _interpreter(environment: Mapping[str, str], tool: Path) -> str:
    """Make an environment with what the validator loads, at the versions that skill-sync pins."""
    place = Path(_given(environment, "RUNNER_TEMP")) / "skill-sync-python"
    pins = [
        line
        for line in (tool / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if line.partition("==")[0] in _NEEDED
    ]
    python = str(place / "bin" / "python")
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins],
    ):
        if subprocess.run(command, check=False).returncode:
            raise StepError("what the validator needs could not be installed")
    return python


def _folder(environment: Mapping[str, str]) -> Path:
    return Path(_given(environment, "RUNNER_TEMP")) / "skill-sync-commit"


def _address(environment: Mapping[str, str]) -> str:
    address = _given(environment, "INPUT_URL").rstrip("/")
    parts = urllib.parse.urlsplit(address)
    loopback = parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}
    if (
        not (parts.hostname and (parts.scheme == "https" or loopback))
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise StepError("url: expected an address such as https://HOST")
    return address


def _given(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise StepError(f"{name.removeprefix('INPUT_').lower()} is not set")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
