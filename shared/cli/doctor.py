"""`doctor`: what is wrong, and what to do about it. First what can be seen from here, then what the functions see.

It says what it can in every case: without settings, without an answer, without a key that is accepted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.adapters.clock import SystemClock
from shared.cli import check_view
from shared.cli.exits import Exit
from shared.cli.screen import BAD, DOUBTFUL, GOOD, line, shown
from shared.core.credentials import Check, Mark
from shared.errors import DeniedError, SkillSyncError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from datetime import datetime

    from shared.cli.client import Answer, Client, Document
    from shared.cli.screen import Screen
    from shared.errors import ConfigError

MAX_CLOCK_SECONDS = 300
_AREA = "here"
_SETTINGS = "settings-are-usable"
_ANSWER = "functions-answer"
_CLOCK = "clocks-agree"
_KEY = "key-is-accepted"
_REDIRECTS = range(300, 400)
_MEND_URL = "set SKILL_SYNC_URL to the address where the functions answer, such as https://HOST"


def doctor(client: Client, screen: Screen, _: argparse.Namespace) -> Exit:
    """Look at everything that can be looked at; ends with 1 when a check failed."""
    with screen.busy("Looking at everything"):
        answered, ours = _reached(client)
        found: list[object] = [_described(_good(_SETTINGS, f"SKILL_SYNC_URL is {client.address}"))]
        found += [_described(check) for check in ours]
        if answered:
            found += _theirs(client)
    return _told(screen, found)


def unconfigured(screen: Screen, error: ConfigError) -> Exit:
    """Say that nobody can be asked with these settings."""
    fix = _MEND_URL if "SKILL_SYNC_URL" in error.message else "mend the setting that is named; README lists all of them"
    return _told(screen, [_described(_bad(_SETTINGS, error.code, error.message, fix))])


def _reached(client: Client) -> tuple[bool, list[Check]]:
    try:
        answer = client.probe("GET", "/health")
    except SkillSyncError as error:
        fix = "see whether the address is right and the functions run; from elsewhere too: it may be this network"
        return False, [_bad(_ANSWER, error.code, error.message, fix)]
    document = answer.document() or {}
    if "services" not in document:
        return False, [_not_ours(answer)]
    checks = [_good(_ANSWER, f"GET /health is answered with {answer.status}: {shown(document.get('status'))}")]
    return True, [*checks, *_clock(answer.date, SystemClock().now())]


def _not_ours(answer: Answer) -> Check:
    if answer.status in _REDIRECTS:
        return _bad(_ANSWER, "REDIRECTED", "the address sends callers elsewhere, where the key does not go", _MEND_URL)
    text = f"something answers with {answer.status}, and not as the functions do"
    return _bad(_ANSWER, "ANSWER_INVALID", text, f"{_MEND_URL}; where Cloud IAM refuses the call, let this caller in")


def _clock(theirs: datetime | None, now: datetime) -> list[Check]:
    """Compare this machine's clock with the one that the answer was dated by."""
    if theirs is None:
        return []
    off = round((now - theirs).total_seconds())
    if abs(off) <= MAX_CLOCK_SECONDS:
        return [_good(_CLOCK, f"this machine's clock and the functions' differ by {abs(off)} s")]
    text = f"this machine's clock is {abs(off) // 60} min {'ahead of' if off > 0 else 'behind'} the functions'"
    fix = "set this machine's clock (NTP): trust that is signed here carries its time"
    return [Check(name=_CLOCK, mark=Mark.WARN, code="CLOCK_DIFFERS", text=text, fix=fix)]


def _theirs(client: Client) -> list[object]:
    """Ask the functions what they see; that also proves the key."""
    if not client.has_key:
        fix = "set MANUAL_SYNC_API_KEY, or MANUAL_SYNC_API_KEY_FILE"
        return [_described(_bad(_KEY, "CONFIG_MISSING", "there is no key to ask the functions with", fix))]
    try:
        told = client.get("/api/doctor").get("checks")
    except DeniedError as error:
        fix = "use the key that the functions hold as MANUAL_SYNC_API_KEY; while it is rotated, its first line"
        return [_described(_bad(_KEY, error.code, error.message, fix))]
    except SkillSyncError as error:
        fix = "mend what the code says; the functions' log has more"
        return [_described(_bad("functions-examine-themselves", error.code, error.message, fix))]
    accepted: list[object] = [_described(_good(_KEY, "the functions accept the operators' key"))]
    if isinstance(told, list):
        return accepted + told
    fix = "deploy functions of the same version as this command"
    return [*accepted, _described(_bad("functions-examine-themselves", "ANSWER_INVALID", "no checks came", fix))]


def _told(screen: Screen, found: Sequence[object]) -> Exit:
    failed = sum(map(check_view.is_failed, found))
    warned = sum(isinstance(each, dict) and each.get("mark") == Mark.WARN for each in found)
    counts = f"{len(found)} checks: {failed} failed, {warned} to look at"
    style = BAD if failed else DOUBTFUL if warned else GOOD
    screen.result({"failed": failed, "checks": list(found)}, *check_view.by_area(found), line(counts, style=style))
    return Exit.FAILED if failed else Exit.DONE


def _described(check: Check) -> Document:
    return {"area": _AREA, **check_view.described(check)}


def _good(name: str, text: str) -> Check:
    return Check(name=name, mark=Mark.OK, text=text)


def _bad(name: str, code: str, text: str, fix: str) -> Check:
    return Check(name=name, mark=Mark.FAIL, code=code, text=text, fix=fix)
