"""The puller's own word on its state: what it serves, what it may do, figures. The same answers as the functions give.

How they are asked for is left to `server`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.boot import boot_status
from shared.core.latches import latches_document
from shared.core.states import MISMATCH, VIOLATION, Condition, next_action
from shared.puller.drift import KEPT, REPAIRED, REPORTED
from shared.puller.report import Result
from shared.puller.state_file import failed_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.puller.follow import Follower

STALE_AFTER_POLLS = 3


def documents(follower: Follower) -> dict[str, Callable[[], dict[str, object]]]:
    """Return the answers by path."""
    return {
        "/status": lambda: status(follower),
        "/api/operational-state": lambda: operational_state(follower),
        "/api/dr-state": lambda: dr_state(follower),
        "/api/boot-status": lambda: boot_status(follower.standing.reasons),
    }


def status(follower: Follower) -> dict[str, object]:
    """Say what is installed, since when, and how the last look ended."""
    state, standing = follower.state, follower.standing
    return {
        "state": standing.condition.value,
        "reasons": list(standing.reasons),
        "deployment": state.deployment,
        "manifest": state.manifest,
        "installed_at": state.installed_at,
        "skills": 0 if state.installed is None else state.installed.skills,
        "installing": state.installing is not None,
        "trust_version": follower.trust.newest.version,
        "proving": state.proving is not None,
        "gateway_up": None if follower.prover is None else follower.prover.is_up,
        "failures": [failed_document(failed) for failed in state.failures],
        "kept": sorted(state.kept),
        "last_look": follower.looked_at or None,
        "looks": dict(follower.looks),
    }


def is_verified(follower: Follower, now: float, interval: float) -> bool:
    """Whether the volume was known to equal the live pointer within the last three polls.

    Args:
        follower: Who looks.
        now: Monotonic seconds.
        interval: Seconds between two looks.
    """
    return follower.verified_at is not None and now - follower.verified_at <= STALE_AFTER_POLLS * interval


def metrics(follower: Follower, now: float, interval: float) -> str:
    """Write the figures in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""
    state, standing = follower.state, follower.standing
    lines = [
        "# HELP skill_sync_puller_up Whether the volume was verified equal to the live pointer within three polls.",
        "# TYPE skill_sync_puller_up gauge",
        f"skill_sync_puller_up {int(is_verified(follower, now, interval))}",
        "# HELP skill_sync_puller_state The operational state.",
        "# TYPE skill_sync_puller_state gauge",
        *(f'skill_sync_puller_state{{state="{each.value}"}} {int(each is standing.condition)}' for each in Condition),
        "# HELP skill_sync_puller_looks_total Looks at the pointer by how they ended.",
        "# TYPE skill_sync_puller_looks_total counter",
        *(
            f'skill_sync_puller_looks_total{{outcome="{each.value}"}} {follower.looks[each.value]}'
            for each in sorted(Result)
        ),
        "# HELP skill_sync_puller_skills Skills that are installed.",
        "# TYPE skill_sync_puller_skills gauge",
        f"skill_sync_puller_skills {0 if state.installed is None else state.installed.skills}",
        "# HELP skill_sync_puller_failures Deployments that failed their proof here, one after the other, and were put back.",
        "# TYPE skill_sync_puller_failures gauge",
        f"skill_sync_puller_failures {len(state.failures)}",
        "# HELP skill_sync_puller_drift_total Paths that were not as installed.",
        "# TYPE skill_sync_puller_drift_total counter",
        *(
            f'skill_sync_puller_drift_total{{action="{action}"}} {follower.upkeep.counts[action]}'
            for action in (KEPT, REPAIRED, REPORTED)
        ),
        "# HELP skill_sync_puller_sweep_seconds_total Processor seconds spent on noticing what changed.",
        "# TYPE skill_sync_puller_sweep_seconds_total counter",
        f"skill_sync_puller_sweep_seconds_total {follower.upkeep.cpu_seconds:.6f}",
        *_gateway(follower),
        "# HELP skill_sync_puller_trust_version The newest version of the trust that is believed.",
        "# TYPE skill_sync_puller_trust_version gauge",
        f"skill_sync_puller_trust_version {follower.trust.newest.version}",
    ]
    return "\n".join(lines) + "\n"


def _gateway(follower: Follower) -> list[str]:
    prover = follower.prover
    if prover is None:
        return []
    return [
        "# HELP skill_sync_puller_gateway_up Whether the gateway was well at the last look.",
        "# TYPE skill_sync_puller_gateway_up gauge",
        f"skill_sync_puller_gateway_up {int(bool(prover.is_up))}",
        "# HELP skill_sync_puller_proofs_total Proofs of reload by how they ended.",
        "# TYPE skill_sync_puller_proofs_total counter",
        *(
            f'skill_sync_puller_proofs_total{{outcome="{proof.name.lower()}"}} {count}'
            for proof, count in prover.proofs.items()
        ),
    ]


def operational_state(follower: Follower) -> dict[str, object]:
    """Say what the puller may do, and what it serves whatever that is."""
    standing = follower.standing
    return {
        "state": standing.condition.value,
        "since": standing.since,
        "reasons": list(standing.reasons),
        "serving": follower.state.deployment,
        "deploys_allowed": standing.deploys_allowed,
    }


def dr_state(follower: Follower) -> dict[str, object]:
    """Say what is offered against what is remembered, and what an operator has to do next."""
    standing, state, trust, offered = follower.standing, follower.state, follower.trust.newest, follower.offered
    floor = state.floor
    match = next((reason for reason in (VIOLATION, MISMATCH) if reason in standing.reasons), None)
    known = offered is not None and standing.condition is not Condition.PAUSED
    return {
        "match_status": match or ("match" if known else "unknown"),
        "trust": {"version": trust.version, "epoch": trust.epoch, "expires_at": trust.expires_at or None},
        "store": None if offered is None else {"deployment": offered.deployment, "issued_at": offered.issued_at},
        "remembered": None
        if floor is None
        else {"epoch": floor.epoch, "seq": floor.seq, "manifest": floor.digest, "issued_at": floor.issued_at},
        "pauses": latches_document(state.latches),
        "next_action": next_action(
            standing, state.latches, trust, remembered_epoch=0 if floor is None else floor.epoch
        ),
    }
