"""The pullers, and what each has proved: that it has what is live, that its gateway loaded it, how long that was up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dashboard import words
from shared.dashboard.members import items, number, part
from shared.dashboard.times import Moment, moment, span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from shared.dashboard.words import Word
    from shared.service.dashboard import Board


@dataclass(frozen=True, slots=True, kw_only=True)
class Puller:
    """One puller. `accepted` is the newest deployment whose signed pointer it has shown to have accepted."""

    id: str
    word: Word
    deployment: str
    accepted: str
    proof: Word
    uptime: str
    trust: str
    last: Moment | None
    notes: tuple[str, ...]


def pullers(board: Board, now: datetime) -> Iterator[Puller]:
    """Yield the pullers in the order of their ids.

    Args:
        board: What was gathered.
        now: The time.
    """
    reports = {str(report.get("id")): report for report in board.reports}
    for each in items(part(board.health, "services"), "pullers"):
        told = each if isinstance(each, dict) else {}
        yield _puller(told, reports.get(str(told.get("id")), {}), now)


def _puller(told: Mapping[str, object], report: Mapping[str, object], now: datetime) -> Puller:
    proof = part(report, "told").get("proof") or part(report, "install").get("proof")
    gateway = part(report, "gateway")
    watched, up = number(gateway, "watched_ms"), number(gateway, "up_ms")
    return Puller(
        id=str(told.get("id")),
        word=words.PULLERS.get(str(told.get("status")), words.UNKNOWN),
        deployment=str(told.get("deployment") or "nothing"),
        accepted=str(part(report, "floor").get("deployment") or "nothing"),
        proof=words.PROOFS.get(str(proof), words.UNPROVED),
        uptime=f"{100 * up / watched:.4g} % of {span(watched / 1000)}" if watched else "not watched",
        trust=str(told.get("trust_version") or "not told"),
        last=moment(told.get("last_report"), now),
        notes=tuple(_notes(told, report)),
    )


def _notes(told: Mapping[str, object], report: Mapping[str, object]) -> Iterator[str]:
    reasons = items(told, "reasons")[:5]
    if reasons:
        yield f"reasons: {', '.join(map(str, reasons))}"
    failed = part(report, "failed")
    if failed:
        skills = ", ".join(map(str, items(failed, "skills")[:5]))
        yield f"deployment {failed.get('deployment')} failed its proof{f': {skills}' if skills else ''}"
    drift = items(report, "drift")
    if drift:
        yield f"{len(drift)} installed files were changed by somebody"
