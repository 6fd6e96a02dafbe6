"""What an operator is told about trust and states: may anything be deployed, what does the store stand against, what next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.boot import boot_status
from shared.core.latches import latches_document
from shared.core.report import NOT_FOLLOWING
from shared.core.states import MISMATCH, PENDING, VIOLATION, next_action

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.core.rewind import Witness
    from shared.model import Pointer, Trust
    from shared.service.survey import Survey


def operational_state(found: Survey) -> dict[str, object]:
    """Return the answer of `GET /api/operational-state`."""
    serving = found.offered
    return {
        "state": found.state.condition.value,
        "since": found.state.since,
        "reasons": list(found.state.reasons),
        "serving": None if serving is None else serving.deployment,
        "deploys_allowed": found.state.deploys_allowed,
    }


def dr_state(found: Survey, trust: Trust, signers: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return the answer of `GET /api/dr-state`.

    Args:
        found: A fresh look at the store.
        trust: The newest version that is believed.
        signers: The keys that the functions hold, newest first: the id of each and its public key, which the operator names in
            the trust.
    """
    remembered = max((witness.pointer.epoch for witness in found.witnesses), default=0)
    return {
        "match_status": _match(found),
        "trust": {
            "version": trust.version,
            "epoch": trust.epoch,
            "issued_at": trust.issued_at or None,
            "expires_at": trust.expires_at or None,
            "operator_keys": list(trust.operator_keys),
            "signer_keys": list(trust.signer_keys),
            "ack": trust.ack,
            "reason": trust.reason,
            "incident": trust.incident,
        },
        "signer": dict(signers[0]) if signers else {},
        "signers": [dict(signer) for signer in signers],
        "store": None if found.offered is None else _described(found.offered),
        "remembered": [_remembered(witness) for witness in found.witnesses],
        "pauses": latches_document(found.latches),
        "next_action": next_action(found.state, found.latches, trust, remembered_epoch=remembered),
    }


def boot(found: Survey) -> dict[str, object]:
    """Return the answer of `GET /api/boot-status`."""
    held = any(report.get("outcome") in NOT_FOLLOWING for report in found.reports)
    nothing = found.offered is None and not found.verdict.reason
    extra = [*(["held"] if held else []), *(["NO_DEPLOYMENT"] if nothing else [])]
    return boot_status([*found.state.reasons, *extra])


def _match(found: Survey) -> str:
    reasons = set(found.state.reasons)
    for reason in (VIOLATION, MISMATCH):
        if reason in reasons:
            return reason
    known = found.verdict.pointer is not None or PENDING in reasons or not found.witnesses
    return "match" if known and found.offered is not None else "unknown"


def _described(pointer: Pointer) -> dict[str, object]:
    return {
        "epoch": pointer.epoch,
        "seq": pointer.seq,
        "deployment": pointer.deployment,
        "manifest": pointer.manifest.sha256,
        "issued_at": pointer.issued_at,
        "expires_at": pointer.expires_at,
    }


def _remembered(witness: Witness) -> dict[str, object]:
    return {"party": witness.party, **_described(witness.pointer)}
