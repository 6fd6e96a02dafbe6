"""What is news in a puller's report, and the events that tell it: drift, an install, a deployment that failed here.

Whoever reads events by name goes by the time in it, and a puller's clock may be wrong: an event bears the functions' time,
unless the puller's own is about the same. A time of ours would be another one when the report comes again. The kept report
therefore says which events it is to be told by, and at which time; they are written behind it, and once more before the next
report takes its place. A crash in between loses none, and none is told twice.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.events import event, time_of
from shared.core.names import parse_timestamp
from shared.core.report import follows
from shared.core.tally import told_of
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLOCK_TOLERANCE = timedelta(minutes=5)
"""So far a puller's clock may be off and still name an event; who reads events must look back further than that."""
_CODE = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_INSTALLED = ("installed", "unproved")


def with_news(kept: Mapping[str, object], former: Mapping[str, object]) -> dict[str, object]:
    """Add to a report what of it is to be told, and since when its puller does not follow.

    Args:
        kept: The report, with what `with_tally` adds.
        former: What is kept of the same puller's report before it; empty when there is none.
    """
    since = former.get("not_following_since")
    return {
        **kept,
        "news": {"at": _time(kept), "kinds": list(_kinds(kept, former))},
        "not_following_since": None if follows(kept) else since if isinstance(since, str) else kept["last_report"],
    }


def events_of(kept: Mapping[str, object]) -> list[tuple[str, bytes]]:
    """List the events that a kept report is to be told by, as object name and content; always the same for the same report.

    Args:
        kept: As `with_news` made it; one that was kept before there was any of this, or is damaged, tells nothing.
    """
    news = kept.get("news")
    at, kinds = (news.get("at"), news.get("kinds")) if isinstance(news, dict) else (None, None)
    if not isinstance(at, str) or not isinstance(kinds, list):
        return []
    found = [event(at, key, kind, {"puller": kept.get("id"), **details}) for key, kind, details in _told(kept, kinds)]
    # Whoever damages a report in the store must not keep the next one from being taken.
    return [(name, data) for name, data in found if _is_event(name)]


def _is_event(name: str) -> bool:
    try:
        return bool(time_of(name))
    except InputError:
        return False


def _time(kept: Mapping[str, object]) -> str:
    own, ours = kept["at"], str(kept["last_report"])
    if isinstance(own, str) and abs(parse_timestamp(own) - parse_timestamp(ours)) <= CLOCK_TOLERANCE:
        return own
    return ours


def _kinds(kept: Mapping[str, object], former: Mapping[str, object]) -> Iterator[str]:
    # A report that is sent again has the time of the first try.
    if kept["drift"] and (kept["at"], kept["drift"]) != (former.get("at"), former.get("drift")):
        yield "drift"
    if kept["failed"] and _names(kept["failed"]) != _names(former.get("failed")):
        yield "held"
    before, now = told_of(former), told_of(kept)
    known = before.outcomes if before.deployment == now.deployment else ()
    yield from (outcome for outcome in now.outcomes if outcome not in known)


def _names(failed: object) -> tuple[object, object] | None:
    # Which skills were lost may be told better the next time; the deployment that failed is the same.
    return (failed.get("deployment"), failed.get("manifest")) if isinstance(failed, dict) else None


def _told(kept: Mapping[str, object], kinds: list[object]) -> Iterator[tuple[str, str, dict[str, object]]]:
    failed, reasons, floor, puller = (kept.get(key) for key in ("failed", "reasons", "floor", "id"))
    if "drift" in kinds:
        yield f"drift-{puller}", "drift", {"files": kept.get("drift")}
    if "held" in kinds and isinstance(failed, dict) and isinstance(reasons, list):
        codes = [reason for reason in reasons if isinstance(reason, str) and _CODE.fullmatch(reason)]
        yield f"{failed.get('deployment')}-held-{puller}", "held", {**failed, "reasons": codes}
    for outcome in _INSTALLED:
        if outcome in kinds and isinstance(floor, dict):
            # Both names are those of the pointer that we signed.
            named = {key: floor.get(key) for key in ("deployment", "manifest")}
            yield f"{named['deployment']}-{outcome}-{puller}", "installed", {**named, "outcome": outcome}
