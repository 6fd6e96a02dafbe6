"""Stand-ins for the foreign commands of a runbook: `python page_tools.py NAME ARGUMENTS`, found as NAME on a PATH of their own.

Each checks its arguments against a table of what the real one takes, notes the call, and prints what the real one prints.
`curl` to GitHub's API goes to the stand-in for GitHub, to this machine it is the real one, and to anywhere else it fails. What
they stand in for is told by the environment: PAGE_CALLS, PAGE_LOG, PAGE_GATEWAY_LOG, PAGE_API.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WRONG = 64
_CURL = "/usr/bin/curl"
_GITHUB = "https://api.github.com/"
_HOOK = r"repos/[\w.-]+/[\w.-]+/hooks"
_FIELD = re.compile(r'(?:jsonPayload\.(\w+)|(severity))(=|:|>=)"?([\w ]+)"?')
_SEVERITIES = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class WrongError(Exception):
    """The real command would refuse these arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What one command takes: how many words, which options it must have, and which it may have; `switches` take no value.

    With `more` it takes any number of words from `words` on.
    """

    words: int
    more: bool = False
    needs: frozenset[str]
    may: frozenset[str] = frozenset()
    switches: frozenset[str] = frozenset()
    prints: Callable[[list[str], dict[str, str]], str]


def _entries(words: list[str], _: dict[str, str]) -> str:
    """The lines of the functions' log that a filter of Cloud Logging asks for; it takes the severity out of the payload."""
    terms = [_FIELD.fullmatch(term) for term in words[0].split(" OR ")]
    wanted = [(term[1] or term[2], term[3], term[4]) for term in terms if term is not None]
    if len(wanted) != len(terms) or any(
        field == "severity" for field, *_ in wanted if "jsonPayload.severity" in words[0]
    ):
        raise WrongError(f"expected fields of the payload, or severity, joined by OR; got {words[0]}")
    lines = [json.loads(line) for line in Path(os.environ["PAGE_LOG"]).read_text().splitlines() if line.startswith("{")]
    found = [line for line in lines if any(_matches(line, *each) for each in wanted)]
    return json.dumps([{"jsonPayload": line} for line in found], indent=2)


def _matches(line: dict[str, object], field: str, operator: str, value: str) -> bool:
    held = str(line.get(field))
    if operator == ">=":
        return _SEVERITIES.index(held) >= _SEVERITIES.index(value)
    return value in held if operator == ":" else value == held


def _gateway_log(_: list[str], options: dict[str, str]) -> str:
    lines = Path(os.environ["PAGE_GATEWAY_LOG"]).read_text().splitlines()
    found = [line for line in lines if options.get("--filter", "").strip('"') in line]
    return "\n".join(found[-int(options["--lines"]) :])


def _job(words: list[str], options: dict[str, str]) -> str:
    name = f"projects/{options['--project']}/locations/{options['--location']}/jobs/{words[0]}"
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"lastAttemptTime: '{at}'\nname: {name}\nschedule: '*/5 * * * *'\nstate: ENABLED\nstatus: {{}}"


def _skills(_: list[str], options: dict[str, str]) -> str:
    if json.loads(options["--params"]) != {} or not options["--url"].startswith("ws://127.0.0.1:"):
        raise WrongError("skills.status takes {}, and the gateway is on this machine")
    folders = sorted(path.parent.name for path in Path(os.environ["SKILLS_DIR"]).glob("*/SKILL.md"))
    listed = [{"name": name, "source": "openclaw-managed", "eligible": True} for name in folders]
    return json.dumps({"skills": listed}, indent=2)


def _version(words: list[str], options: dict[str, str]) -> str:
    if not Path(options["--data-file"]).read_text(encoding="utf-8").strip():
        raise WrongError("an empty secret")
    return f"Created version [1] of the secret [{words[0]}]."


def _nothing(_words: list[str], _options: dict[str, str]) -> str:
    return ""


_AT = frozenset({"--location", "--project"})
FORMS: dict[tuple[str, ...], Form] = {
    ("gcloud", "scheduler", "jobs", "describe"): Form(words=1, needs=_AT, prints=_job),
    ("gcloud", "scheduler", "jobs", "run"): Form(words=1, needs=_AT, prints=_nothing),
    ("gcloud", "scheduler", "jobs", "resume"): Form(words=1, needs=_AT, prints=_nothing),
    ("gcloud", "logging", "read"): Form(
        words=1, needs=frozenset({"--project", "--freshness", "--limit"}), may=frozenset({"--format"}), prints=_entries
    ),
    ("gcloud", "secrets", "versions", "add"): Form(
        words=1, needs=frozenset({"--data-file", "--project"}), prints=_version
    ),
    ("railway", "ssh"): Form(words=0, needs=frozenset({"--service"}), prints=_nothing),
    ("railway", "logs"): Form(
        words=0, needs=frozenset({"--service", "--lines"}), may=frozenset({"--filter"}), prints=_gateway_log
    ),
    ("railway", "restart"): Form(
        words=0, needs=frozenset({"--service", "--yes"}), switches=frozenset({"--yes"}), prints=_nothing
    ),
    ("openclaw", "gateway", "call", "skills.status"): Form(
        words=0,
        needs=frozenset({"--json", "--params", "--token", "--url"}),
        switches=frozenset({"--json"}),
        prints=_skills,
    ),
}
GITHUB: tuple[tuple[str, str], ...] = (
    ("GET", _HOOK),
    ("POST", _HOOK),
    ("POST", rf"{_HOOK}/\d+/pings"),
    ("PATCH", rf"{_HOOK}/\d+/config"),
    ("GET", rf"{_HOOK}/\d+/deliveries\?per_page=\d+"),
    ("GET", rf"{_HOOK}/\d+/deliveries/\d+"),
    ("POST", rf"{_HOOK}/\d+/deliveries/\d+/attempts"),
)


def main(name: str, *arguments: str, forms: Mapping[tuple[str, ...], Form] = FORMS) -> int:
    """Run one of them, of a page's own table if it has one; returns its exit status."""
    with Path(os.environ["PAGE_CALLS"]).open("a", encoding="utf-8") as calls:
        calls.write(json.dumps([name, *arguments]) + "\n")
    try:
        if name == "curl":
            return _curl(list(arguments))
        print(_printed(name, arguments, forms))  # noqa: T201 - a command prints
    except WrongError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return WRONG
    return 0


def _printed(name: str, arguments: tuple[str, ...], forms: Mapping[tuple[str, ...], Form]) -> str:
    line = (name, *arguments)
    command = next((known for known in forms if line[: len(known)] == known), None)
    if command is None:
        raise WrongError(f"no such command: {' '.join(line)}")
    form, words, options = forms[command], [], {}
    rest = iter(line[len(command) :])
    for each in rest:
        if not each.startswith("--"):
            words.append(each)
        elif each not in form.needs | form.may:
            raise WrongError(f"no such option: {each}")
        else:
            options[each] = "" if each in form.switches else next(rest, "")
    counted = len(words) >= form.words if form.more else len(words) == form.words
    if not counted or form.needs - options.keys():
        least = f"{form.words} or more" if form.more else form.words
        raise WrongError(f"expected {least} words and {sorted(form.needs)}; got {line}")
    if empty := [each for each, value in options.items() if not value and each not in form.switches]:
        raise WrongError(f"no value for {empty}")
    return form.prints(words, options)


def _curl(arguments: list[str]) -> int:
    (url,) = [each for each in arguments if "://" in each and not each.startswith("{")] or [""]
    if url.startswith(_GITHUB):
        below = url.removeprefix(_GITHUB)
        method = arguments[arguments.index("-X") + 1] if "-X" in arguments else "POST" if "-d" in arguments else "GET"
        if not any(method == known and re.fullmatch(path, below) for known, path in GITHUB):
            raise WrongError(f"GitHub has no {method} {url}")
        _check_token(arguments)
        arguments[arguments.index(url)] = f"{os.environ['PAGE_API']}/{below}"
    elif not url.startswith("http://127.0.0.1:"):
        raise WrongError(f"an address that no stand-in answers: {url!r}")
    os.execv(_CURL, [_CURL, "--noproxy", "*", "--max-time", "30", *arguments])  # noqa: S606 - the real one


def _check_token(arguments: list[str]) -> None:
    files = [each.removeprefix("@") for each in arguments if each.startswith("@") and each != "@-"]
    if not any(re.match(r"Authorization: Bearer \S+\n?\Z", Path(file).read_text(encoding="utf-8")) for file in files):
        raise WrongError("GitHub wants -H @FILE with a line `Authorization: Bearer TOKEN`")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
