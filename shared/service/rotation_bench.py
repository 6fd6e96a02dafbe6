"""What a look at rotations reads and finds: the open one, the records, what is accepted, and who used what."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.core.credential_notes import holding_noted
from shared.core.credentials import puller_of
from shared.core.puller_keys import key_uses
from shared.core.rotation import QUIET_POLLS, Holding
from shared.service.rotation_store import Kept, read_rotations
from shared.service.summary_store import read_summary
from shared.service.witnesses import puller_reports

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.core.summary import Summary
    from shared.model import Trust
    from shared.ports import Clock, Probe, Signer, Store, Together

NOTED = ("GITHUB_WEBHOOK_SECRET", "MANUAL_SYNC_API_KEY")
"""Of these the summary notes under which value each call came in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is needed to look, to try and to write.

    Args:
        store: Where.
        trust: The newest version that is believed.
        clock: The time.
        together: Runs reads side by side.
        poll_seconds: The polling interval.
        held: By credential the fingerprints of what this function accepts, newest first; who holds none tells nothing.
        signers: The fingerprints of the signing keys that this function holds, newest first.
        probes: By credential what tries it; None where this function holds none.
        stranger: Makes a key that nobody trusts.
        caller: The fingerprint of the API key that this call came in with.
    """

    store: Store
    trust: Trust
    clock: Clock
    together: Together
    poll_seconds: float
    held: Mapping[str, tuple[str, ...]]
    signers: tuple[str, ...] = ()
    probes: Mapping[str, Callable[[], Probe | None]] = field(default_factory=dict)
    stranger: Callable[[], Signer] | None = None
    caller: str = ""

    @property
    def quiet(self) -> timedelta:
        """So long nobody must have used the old value before it may go."""
        return timedelta(seconds=QUIET_POLLS * self.poll_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look found."""

    kept: Kept
    summary: Summary
    reports: Sequence[Mapping[str, object]]
    holdings: Mapping[str, Holding]


def look(bench: Bench) -> Seen:
    """Read the rotations, the summary and the pullers' reports."""
    kepts: list[Kept] = []
    summaries: list[Summary] = []
    reports: list[Mapping[str, object]] = []
    bench.together(
        [
            lambda: kepts.append(read_rotations(bench.store, bench.together)),
            lambda: summaries.append(read_summary(bench.store)[0]),
            lambda: reports.extend(puller_reports(bench.store, bench.together)),
        ]
    )
    kept, summary = kepts[0], summaries[0]
    names = {*bench.held, *kept.records, *NOTED}
    holdings = {name: _holding(bench, name, summary, reports) for name in sorted(names)}
    return Seen(kept=kept, summary=summary, reports=reports, holdings=holdings)


def _holding(bench: Bench, name: str, summary: Summary, reports: Sequence[Mapping[str, object]]) -> Holding:
    held = bench.held.get(name, ())
    if name in NOTED:
        noted = holding_noted(summary, name)
        return Holding(accepted=held or noted.accepted, used=noted.used)
    puller = puller_of(name)
    if puller:
        used = next((key_uses(report) for report in reports if report.get("id") == puller), {})
        return Holding(accepted=held, used=used)
    return Holding(accepted=held)
