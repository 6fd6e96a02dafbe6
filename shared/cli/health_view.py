"""The health at a glance, made of what `GET /health` says. What is asked beside it is `asking`'s business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from shared.cli.screen import BAD, DOUBTFUL, GOOD, QUIET, age, cell, commit, items, line, moment, part, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

_PERCENT_DIGITS = 2


def glance(document: Mapping[str, object], address: str) -> Iterator[RenderableType]:
    """Yield the parts: verdict, what is wrong, what is live, services, pullers, key figures.

    Args:
        document: The health.
        address: Whose it is.
    """
    verdict = cell(document.get("status"))
    verdict.stylize("bold")
    yield line(verdict, cell(f"{address}, {moment(document.get('timestamp'))}", QUIET))
    for trouble in troubles(document):
        yield line("  !", trouble, style=BAD if verdict.plain == "unhealthy" else DOUBTFUL)
    yield Text()
    yield _live(document)
    yield Text()
    yield table(("service", "status", "last", "note"), _services(document))
    pullers = items(part(document, "services"), "pullers")
    if pullers:
        yield Text()
        yield table(("puller", "status", "deployment", "last report", "note"), _pullers(document))
    yield Text()
    yield table(("last 30 days", "value", "target", ""), _figures(document))


def troubles(document: Mapping[str, object]) -> Iterator[str]:
    """Yield what keeps the health from being green, a line each."""
    services = part(document, "services")
    poller, audit = part(services, "poller"), part(services, "audit")
    if document.get("error"):
        yield f"the store cannot be read: {document['error']}"
    elif document.get("last_deployment") is None:
        yield "nothing was deployed yet"
    if document.get("state") not in {"READY", None}:
        reasons = ", ".join(str(reason) for reason in items(document, "reasons"))
        yield f"the state is {document['state']}: {reasons}"
    if poller.get("status") in {"stale", "never"}:
        yield f"nobody polls: the last poll was {_ago(poller.get('last_check'), document) or 'never'}"
    if poller.get("error"):
        yield f"the last sync failed: {poller['error']}"
    if audit.get("error"):
        yield f"the audit graph cannot be fed: {audit['error']}"
    for puller in items(services, "pullers"):
        found = puller if isinstance(puller, dict) else {}
        if found.get("status") not in {"current", None}:
            since = _ago(found.get("since"), document)
            yield f"puller {found.get('id')} is {found.get('status')}{f', since {since}' if since else ''}"


def _live(document: Mapping[str, object]) -> RenderableType:
    last, skills = part(document, "last_deployment"), part(document, "skills")
    deployed = [last.get("id"), "commit", commit(last.get("commit_sha")), "by", last.get("trigger")]
    live = line(*deployed, cell(last.get("status"))) if last else line("nothing")
    withheld = skills.get("withheld")
    held = line(withheld, "withheld: see `withheld`", style=DOUBTFUL) if withheld else line("none withheld")
    rows = [
        ("live", live),
        ("since", line(moment(last.get("timestamp")), f"({_ago(last.get('timestamp'), document)})") if last else ""),
        ("skills", line(skills.get("count"), "live,", held)),
    ]
    return table(("", ""), rows)


def _services(document: Mapping[str, object]) -> Iterator[tuple[object, ...]]:
    services = part(document, "services")
    poller, webhook, audit = (part(services, name) for name in ("poller", "webhook", "audit"))
    blocked = poller.get("rate_limited_until")
    note = f"GitHub's API is left alone until {moment(blocked)}" if blocked else poller.get("error")
    yield "poller", poller.get("status"), _ago(poller.get("last_check"), document) or "never", note
    lost = webhook.get("last_lost")
    note = f"one was lost {_ago(lost, document)}" if lost else ""
    yield "webhook", webhook.get("status"), _ago(webhook.get("last_received"), document) or "never", note
    pending = audit.get("pending")
    yield "audit graph", audit.get("status"), "", audit.get("error") or (f"{pending} pending" if pending else "")


def _pullers(document: Mapping[str, object]) -> Iterator[tuple[object, ...]]:
    for puller in items(part(document, "services"), "pullers"):
        found = puller if isinstance(puller, dict) else {}
        reasons = ", ".join(str(reason) for reason in items(found, "reasons"))
        last = _ago(found.get("last_report"), document) or "never"
        yield found.get("id"), found.get("status"), found.get("deployment"), last, reasons


def _figures(document: Mapping[str, object]) -> Iterator[tuple[object, ...]]:
    for indicator in items(part(document, "kpis"), "indicators"):
        found = indicator if isinstance(indicator, dict) else {}
        met = found.get("met")
        word = (
            cell("met", GOOD) if met is True else cell("missed", BAD) if met is False else cell("not measured", QUIET)
        )
        yield found.get("name"), _figure(found.get("value"), found.get("unit")), found.get("target"), word


def _figure(value: object, unit: object) -> str:
    if not isinstance(value, int | float):
        return "-"
    if unit == "ratio":
        return f"{round(100 * value, _PERCENT_DIGITS):g} %"
    return f"{value:g} {unit}"


def _ago(value: object, document: Mapping[str, object]) -> str:
    return age(value, document.get("timestamp"))
