"""The rollback: an earlier deployment's skills become live again, and stay so until a skill itself changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import log
from shared.core import decide
from shared.core.names import parse_deployment
from shared.core.pointer import lineage
from shared.errors import ConflictError, NotFoundError, UnverifiedError
from shared.model import Action, Trigger
from shared.service.live import read_live
from shared.service.objects import read_manifest, read_signed_record
from shared.service.publish import Intent, publish
from shared.service.record import heal
from shared.service.recover import recover
from shared.service.sync import Outcome, outcome_of

if TYPE_CHECKING:
    from shared.model import DeploymentId, Pointer
    from shared.service.context import Context, Deadline


def roll_back(context: Context, to: DeploymentId, deadline: Deadline) -> Outcome:
    """Make an earlier deployment's skills live. The source is not asked, so this works while it is down.

    Args:
        context: The ports.
        to: The deployment to go back to.
        deadline: Until when the pointer may move.

    Raises:
        InputError: `DEPLOYMENT_ID_INVALID`.
        NotFoundError: `DEPLOYMENT_UNKNOWN`, or `OBJECT_MISSING` when its archives have been collected.
        DeadlineError: not finished in time.
    """
    parse_deployment(to)
    while True:
        deadline.check()
        try:
            return _once(context, to, deadline)
        except ConflictError as conflict:
            log.info("Another deployment came first; gathering again", code=conflict.code)


def _once(context: Context, to: DeploymentId, deadline: Deadline) -> Outcome:
    live = read_live(context)
    if recover(context, live, Trigger.ROLLBACK, deadline) or heal(context, live):
        live = read_live(context)
    if live.pointer is None:
        raise NotFoundError("DEPLOYMENT_UNKNOWN", "nothing was ever deployed")
    target = live.pointer if to == live.pointer.deployment else _recorded(context, live.pointer, to)
    before, after = (
        read_manifest(context.store, digest) for digest in (live.pointer.manifest.sha256, target.manifest.sha256)
    )
    decision = decide.roll_back(before, after, live.pointer.commit)
    if decision.manifest == before:
        return Outcome(status=None, deployment=live.pointer.deployment, commit=live.pointer.commit)
    intent = Intent(
        action=Action.ROLLBACK,
        trigger=Trigger.ROLLBACK,
        commit=live.pointer.commit,
        tell=lambda summary: summary,
        rolled_back_to=to,
    )
    return outcome_of(publish(context, live, decision, (), intent, deadline), decision)


def _recorded(context: Context, live: Pointer, deployment: DeploymentId) -> Pointer:
    """Read the record to go back to. One whose signer was revoked since is believed only if the live pointer names it too.

    A revoked key may be in wrong hands: with it and a way into the bucket, any content could else be published.
    """
    witness = read_signed_record(context.store, context.trust, deployment)
    if witness is None:
        raise NotFoundError("DEPLOYMENT_UNKNOWN", f"there is no record of deployment {deployment}")
    pointer, by_current = witness
    named = pointer.epoch == live.epoch and (pointer.seq, pointer.manifest.sha256) in lineage(live)
    if not by_current and not named:
        raise UnverifiedError(
            "pointer_unverifiable", f"the signer of {deployment} is revoked, and nothing else proves it"
        )
    return pointer
