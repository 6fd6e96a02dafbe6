"""The boot status: numbered gates, each on the way to READY; the first one that fails is where to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

NAMES = (
    "config and secrets",
    "trust",
    "store readable",
    "pointer verified",
    "freshness and clock",
    "epoch match",
    "monotonic",
    "nothing held",
    "ready",
)
_GATES = {
    "trust_invalid": 1,
    "trust_expired": 1,
    "pointer_unverifiable": 3,
    "wrong_channel": 3,
    "NO_DEPLOYMENT": 3,
    "pointer_expired": 4,
    "clock_skew": 4,
    "epoch_pending_republish": 5,
    "mismatch_detected": 6,
    "monotonic_violation": 6,
    "history_unproven": 6,
    "bundle_mismatch": 7,
    "bundle_rejected": 7,
    "held": 7,
}
_CONFIG = 0
_STORE = 2
_HELD = 7
_WARNS = frozenset({"trust_invalid", "trust_expired", "held", "NO_DEPLOYMENT"})
_CONFIG_CODES = ("CONFIG_", "SIGNING_KEY_", "STORE_URI_", "TRUST_")
_STORE_CODES = ("STORE_", "RELEASE_", "BODY_", "PULLER_KEY_")


def boot_status(reasons: Collection[str]) -> dict[str, object]:
    """Arrange reasons by the gate that each of them belongs to.

    Args:
        reasons: Of the state, and the codes of errors that kept it from being known.

    Returns:
        `ready`, `first_failed` (a gate's number, None when all are passed) and `gates`: each pass, warn, fail or skipped, where
        everything behind the first that fails is skipped.
    """
    gates: list[dict[str, object]] = []
    failed: int | None = None
    for number, name in enumerate(NAMES):
        mine = sorted(reason for reason in reasons if gate_of(reason) == number)
        if failed is not None:
            status = "skipped"
        elif any(reason not in _WARNS for reason in mine):
            status, failed = "fail", number
        else:
            status = "warn" if mine else "pass"
        gates.append({"gate": number, "name": name, "status": status, "reasons": mine})
    return {"ready": failed is None, "first_failed": failed, "gates": gates}


def gate_of(reason: str) -> int:
    """Return the number of the gate that a reason belongs to; what is unknown holds up an install."""
    if reason in _GATES:
        return _GATES[reason]
    if reason.startswith(_CONFIG_CODES):
        return _CONFIG
    return _STORE if reason.startswith(_STORE_CODES) else _HELD
