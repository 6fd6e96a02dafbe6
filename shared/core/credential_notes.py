"""What the summary notes of credentials: under which values calls came in, when each is due, and a rotation that is open.

It is what alerts, health and the dashboard read; the records under `rotation/` are what counts, and fill it again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.credentials import TokenNote
from shared.core.dues import due_document, parse_due
from shared.core.names import is_time, parse_timestamp, timestamp
from shared.core.rotation import Holding
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from shared.core.dues import Due
    from shared.core.rotation import Active
    from shared.core.summary import Summary

LOOK_EVERY = timedelta(hours=1)
"""Due dates are counted in days; an hour late is no harm, and a poll that need not look costs nothing."""
MAX_USED = 4
MAX_DUES = 100
_ACCEPTED, _USED, _TOKEN, _DUES, _OPEN, _LOOKED_AT = "accepted", "used", "token", "dues", "open", "looked_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """That a call came in under a credential: which value it was, and which are accepted where it came in (newest first)."""

    name: str
    fingerprint: str
    accepted: tuple[str, ...]


def with_uses(summary: Summary, uses: Iterable[Use], at: str) -> Summary:
    """Note under which values calls came in.

    Args:
        summary: As it is.
        uses: What was used.
        at: When.
    """
    listed = [*uses]
    if not listed:
        return summary
    used, accepted = dict(_member(summary, _USED)), dict(_member(summary, _ACCEPTED))
    for use in listed:
        times = {**_times(used.get(use.name)), use.fingerprint: at}
        newest = sorted(times, key=lambda each: (times[each], each))[-MAX_USED:]
        used[use.name] = {each: times[each] for each in sorted(newest)}
        accepted[use.name] = list(use.accepted)
    return replace(summary, credentials={**summary.credentials, _USED: used, _ACCEPTED: accepted})


def are_news(summary: Summary, uses: Iterable[Use]) -> bool:
    """Whether a call tells what must be known: a value was used for the first time, or one that is not the newest any more."""
    return any(
        use.fingerprint != use.accepted[0] or use.fingerprint not in _times(_member(summary, _USED).get(use.name))
        for use in uses
    )


def holding_noted(summary: Summary, name: str) -> Holding:
    """Return what is noted of a credential whose uses are noted."""
    accepted = _member(summary, _ACCEPTED).get(name)
    known = tuple(each for each in accepted if isinstance(each, str)) if isinstance(accepted, list) else ()
    return Holding(accepted=known, used=_times(_member(summary, _USED).get(name)))


def with_token(summary: Summary, note: TokenNote | None) -> Summary:
    """Note when the source's token ends, as its issuer said; None leaves what is known."""
    if note is None:
        return summary
    ends = None if note.expires_at is None else timestamp(note.expires_at)
    token = {"fingerprint": note.fingerprint, "expires_at": ends}
    return replace(summary, credentials={**summary.credentials, _TOKEN: token})


def token_noted(summary: Summary) -> TokenNote | None:
    """Return what is noted of the source's token; None when nothing is."""
    token = _member(summary, _TOKEN)
    if not isinstance(token.get("fingerprint"), str):
        return None
    try:
        ends = None if token.get("expires_at") is None else parse_timestamp(str(token["expires_at"]))
    except InputError:
        ends = None
    return TokenNote(fingerprint=str(token["fingerprint"]), expires_at=ends)


def with_dues(summary: Summary, dues: Iterable[Due], active: Active | None, now: datetime) -> Summary:
    """Note when each credential is due, and which rotation is open.

    Args:
        summary: As it is.
        dues: All of them.
        active: The rotation that is under way.
        now: The time.
    """
    ordered = sorted(dues, key=lambda due: due.name)[:MAX_DUES]
    noted = {
        **summary.credentials,
        _DUES: [due_document(due) for due in ordered],
        _OPEN: {} if active is None else {"name": active.name, "begun_at": active.begun_at},
        _LOOKED_AT: timestamp(now),
    }
    return replace(summary, credentials=noted)


def dues_noted(summary: Summary) -> list[Due]:
    """List what is noted; what has not the form that it must have is left out."""
    found: list[Due] = []
    noted = summary.credentials.get(_DUES)
    for item in noted if isinstance(noted, list) else []:
        try:
            found.append(parse_due(item if isinstance(item, dict) else {}))
        except (InputError, ValueError):
            continue
    return found


def open_noted(summary: Summary) -> tuple[str, str] | None:
    """Return which rotation is open and since when; None when none is."""
    noted = _member(summary, _OPEN)
    begun_at = str(noted.get("begun_at"))
    return (str(noted.get("name")), begun_at) if is_time(begun_at) else None


def is_look_due(summary: Summary, now: datetime) -> bool:
    """Whether due dates were not looked at for an hour, or the time of the last look is none."""
    looked_at = summary.credentials.get(_LOOKED_AT)
    if not isinstance(looked_at, str) or not is_time(looked_at):
        return True
    return not timedelta(0) <= now - parse_timestamp(looked_at) < LOOK_EVERY


def _member(summary: Summary, key: str) -> dict[str, object]:
    value = summary.credentials.get(key)
    return value if isinstance(value, dict) else {}


def _times(value: object) -> dict[str, str]:
    found = value if isinstance(value, dict) else {}
    return {key: at for key, at in found.items() if isinstance(at, str) and is_time(at)}
