"""`disaster-recovery.md` as its reader acts on it: look, find the row, do what its section says, look again, verify."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.infra.runbook_page import RUNBOOKS, commands

if TYPE_CHECKING:
    from tests.infra.runbook_page import Command
    from tests.infra.site import Ran, Site

PAGE = "disaster-recovery.md"
LOOK, VERIFY, PUSH, OPEN = "Look", "Verify", "Push the trust again", "Open a new epoch"
TWO, ACKNOWLEDGE, FIRST = "Two histories", "Acknowledge a violation", "Somebody else was first"
OTHER, LOST_KEY, LOST_ANCHOR, DELETED = (
    "Other reasons",
    "The operator's key is lost",
    "TRUST_ANCHOR is lost",
    "Objects were deleted",
)
FOLLOWED = frozenset({LOOK, VERIFY, PUSH, OPEN, TWO, ACKNOWLEDGE, FIRST, LOST_KEY, LOST_ANCHOR})
"""The sections whose commands `test_disaster_recovery.py` runs on installations."""
_STORE = "{STORE_URI}"
GCLOUD = (
    ("storage", "cp", f"{_STORE}/pauses/*.json", f"{_STORE}/current.json", "{EVIDENCE}/"),
    ("storage", "mv", f"{_STORE}/trust", f"{_STORE}/trust-lost"),
    ("storage", "cat", f"{_STORE}/trust/1.json"),
    ("storage", "ls", "--soft-deleted", f"{_STORE}/**"),
    ("storage", "restore", f"{_STORE}/objects/**"),
    ("storage", "restore", f"{_STORE}/deployments/**", f"{_STORE}/trust/**"),
    ("storage", "ls", "--all-versions", f"{_STORE}/objects/**"),
    ("storage", "cp", f"{_STORE}/objects/{{DIGEST}}#{{GENERATION}}", f"{_STORE}/objects/{{DIGEST}}"),
)
"""What the page asks of `gcloud`, each compared with the command's own help (Google Cloud SDK 528)."""
MOST_ROUNDS = 5
VERIFY_SECONDS = 30.0
_WORD = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[([^\]]+)\]\(#")


def table(first_column: str) -> list[list[str]]:
    """Return the rows of the page's table whose first heading is this, without the heading."""
    lines = (RUNBOOKS / PAGE).read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def sections_for(match_status: str, next_action: str) -> list[str]:
    """Return the sections of all rows that fit, in order."""
    found = []
    for status, begins, link in table("`match_status`"):
        if status == "any" or _WORD.findall(status) == [match_status]:
            beginning, section = _WORD.findall(begins), _LINK.findall(link)
            found += section if next_action.startswith(beginning[0]) else []
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a look showed."""

    dr: dict[str, Any]
    boot: dict[str, Any]
    puller: dict[str, Any]
    next_action: str

    @property
    def section(self) -> str:
        """Where the table sends its reader."""
        return sections_for(self.dr["match_status"], self.next_action)[0]


def look(site: Site) -> Seen:
    """Run the section's commands and read their answers."""
    status, boot, puller = (_done(site, command) for command in commands(PAGE, LOOK))
    document, _, last = status.stdout.rpartition("\nnext: ")
    return Seen(
        dr=json.loads(document),
        boot=json.loads(boot.stdout),
        puller=json.loads(puller.stdout),
        next_action=last.strip(),
    )


def follow(site: Site) -> list[str]:
    """Do what the page says until it sends its reader to *Verify*, and verify; return the sections that were gone through."""
    gone: list[str] = []
    for _ in range(MOST_ROUNDS):
        seen = look(site)
        if seen.section == VERIFY:
            verify(site)
            return gone
        gone.append(seen.section)
        assert seen.section in _ACTS, f"the page has no commands for {seen.section}: {seen}"
        _ACTS[seen.section](site, seen)
    raise AssertionError(f"no end after {gone}: {look(site)}")


def act(site: Site, section: str) -> None:
    """Do what one section says, whether or not the table sends anybody there."""
    for command in commands(PAGE, section):
        _done(site, command)


def wrong(site: Site) -> list[object]:
    """Run *Verify*'s commands; return the answers that do not show what the list before them says, none when all is well."""
    *curls, status = commands(PAGE, VERIFY)
    poll, boot, functions, puller = (json.loads(_done(site, each).stdout) for each in curls)
    ran = site.run(status)
    ready = {"state": "READY", "deploys_allowed": True, "serving": functions["serving"]}
    found = [
        (poll, "code" not in poll),
        (boot, boot["ready"] and {gate["status"] for gate in boot["gates"]} == {"pass"}),
        (functions, functions == functions | ready),
        (puller, puller == puller | ready),
        (ran, ran.returncode == 0),
    ]
    return [answer for answer, holds in found if not holds]


def verify(site: Site) -> None:
    """Run *Verify*'s commands until all is as it should be."""
    end = time.monotonic() + VERIFY_SECONDS
    while found := wrong(site):
        assert time.monotonic() < end, f"not as {VERIFY} says: {found}"


def _give_back_trust(site: Site, seen: Seen) -> None:
    del seen
    first, *from_a_volume = commands(PAGE, PUSH)
    if "every version already" not in _done(site, first).stdout:
        return
    copied = site.run(from_a_volume[0])
    if copied.returncode:  # nobody has a copy
        act(site, OPEN)
        return
    for command in from_a_volume[1:]:
        _done(site, command)


def _open(site: Site, seen: Seen) -> None:
    pull, *rest = commands(PAGE, OPEN)
    epoch = int(_done(site, pull).stdout.rpartition("epoch ")[2])
    for command in rest if epoch <= seen.dr["trust"]["epoch"] else ():
        _done(site, command)


def _done(site: Site, command: Command) -> Ran:
    ran = site.run(command)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
    return ran


_ACTS = {
    PUSH: _give_back_trust,
    OPEN: _open,
    TWO: lambda site, _: act(site, TWO),
    ACKNOWLEDGE: lambda site, _: act(site, ACKNOWLEDGE),
}
