"""Stand-ins for what token-rotation.md calls, with effects: `python -m tests.infra.rotation_tools NAME ARGUMENTS`.

A secret of Secret Manager is a folder with one file a version; its newest version is mounted, replaced as a whole, as Cloud
Run does. The scheduler's header, the secrets of GitHub Actions and the variables of Railway are files. What else a page calls
is page_tools.py's business. Told by the environment: PAGE_VAULT, PAGE_MOUNTS, PAGE_SCHEDULER, and what page_tools.py reads.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.infra import page_tools
from tests.infra.page_tools import Form, WrongError

_PROJECT = frozenset({"--project"})
_OF_SECRET = frozenset({"--secret", "--project"})
_STDIN = frozenset({"--stdin"})
_FLAGS = re.compile(r"--update-headers:\n  x-api-key: '([^']+)'\n")


def add_version(vault: Path, mounts: Path, secret: str, text: str) -> int:
    """Add a version and let it be mounted."""
    (vault / secret).mkdir(parents=True, exist_ok=True)
    number = max(_versions(vault / secret), default=0) + 1
    (vault / secret / str(number)).write_text(text)
    draft = mounts / f"{secret}.new"
    draft.write_text(text)
    draft.replace(mounts / secret)
    return number


def _versions(folder: Path) -> list[int]:
    return sorted((int(path.name) for path in folder.iterdir() if path.name.isdigit()), reverse=True)


def _secret(name: str) -> Path:
    folder = Path(os.environ["PAGE_VAULT"]) / name
    if not folder.is_dir():
        raise WrongError(f"NOT_FOUND: Secret [{name}] not found")
    return folder


def _version(folder: Path, word: str) -> Path:
    path = folder / (str(_versions(folder)[0]) if word == "latest" else word)
    if not path.is_file():
        raise WrongError(f"NOT_FOUND: version {word}")
    return path


def _is_disabled(path: Path) -> bool:
    return path.with_suffix(".disabled").exists()


def _add(words: list[str], options: dict[str, str]) -> str:
    text = Path(options["--data-file"]).read_text(encoding="utf-8")
    number = add_version(_secret(words[0]).parent, Path(os.environ["PAGE_MOUNTS"]), words[0], text)
    return f"Created version [{number}] of the secret [{words[0]}]."


def _access(words: list[str], options: dict[str, str]) -> str:
    path = _version(_secret(options["--secret"]), words[0])
    if _is_disabled(path):
        raise WrongError("FAILED_PRECONDITION: the version is in DISABLED state")
    return path.read_text(encoding="utf-8").removesuffix("\n")


def _list(words: list[str], _: dict[str, str]) -> str:
    folder = _secret(words[0])
    rows = [(number, "disabled" if _is_disabled(folder / str(number)) else "enabled") for number in _versions(folder)]
    return "\n".join(["NAME  STATE", *(f"{number}     {state}" for number, state in rows)])


def _disable(words: list[str], options: dict[str, str]) -> str:
    folder = _secret(options["--secret"])
    path = _version(folder, words[0])
    if path == _version(folder, "latest"):
        raise WrongError("this would leave the functions without the secret")
    path.with_suffix(".disabled").touch()
    return f"Disabled version [{words[0]}] of the secret [{options['--secret']}]."


def _update_job(_: list[str], options: dict[str, str]) -> str:
    flags = _FLAGS.fullmatch(Path(options["--flags-file"]).read_text(encoding="utf-8"))
    if flags is None:
        raise WrongError("expected --update-headers with x-api-key in the file of flags, as YAML has it")
    held = Path(os.environ["PAGE_SCHEDULER"])
    draft = held.with_suffix(".new")
    draft.write_text(flags[1])
    draft.replace(held)
    return "httpTarget:\n  headers:\n    User-Agent: Google-Cloud-Scheduler"


def _from_stdin(words: list[str], _: dict[str, str]) -> str:
    if not sys.stdin.read().strip():
        raise WrongError(f"no value for {words[0]}")
    return f"Set {words[0]}"


FORMS: dict[tuple[str, ...], Form] = {
    ("gcloud", "secrets", "versions", "add"): Form(words=1, needs=frozenset({"--data-file", "--project"}), prints=_add),
    ("gcloud", "secrets", "versions", "access"): Form(words=1, needs=_OF_SECRET, prints=_access),
    ("gcloud", "secrets", "versions", "list"): Form(words=1, needs=_PROJECT, prints=_list),
    ("gcloud", "secrets", "versions", "disable"): Form(words=1, needs=_OF_SECRET, prints=_disable),
    ("gcloud", "scheduler", "jobs", "update", "http"): Form(
        words=1, needs=frozenset({"--location", "--project", "--flags-file"}), prints=_update_job
    ),
    ("gh", "secret", "set"): Form(words=1, needs=frozenset({"--repo"}), prints=_from_stdin),
    ("railway", "variable", "set"): Form(words=1, needs=_STDIN | {"--service"}, switches=_STDIN, prints=_from_stdin),
}

if __name__ == "__main__":
    page_tools.FORMS.update(FORMS)
    sys.exit(page_tools.main(*sys.argv[1:]))
