"""Moving the pointer: everything that the new manifest needs is stored first, the pointer last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from shared import log
from shared.core.canonical import digest_of
from shared.core.manifest import MAX_MANIFEST_BYTES, manifest_bytes
from shared.core.names import CURRENT, timestamp
from shared.core.pointer import Move, next_pointer, refreshed, sign_pointer
from shared.core.summary import with_latency
from shared.errors import InputError
from shared.model import Action, ManifestRef, Status
from shared.service.audit import feed_now
from shared.service.objects import renew_object, swap, write_object, write_record
from shared.service.pause import fork_of, record_pause
from shared.service.record import record_deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shared.core.decide import Decision
    from shared.core.rewind import Witness
    from shared.core.summary import Change
    from shared.model import CommitSha, DeploymentId, Digest, Manifest, Pointer, Trigger
    from shared.service.context import Context, Deadline
    from shared.service.live import Live


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Why a pointer moves: what it does, what set it going, on which head, and what the summary is to be told.

    `rolled_back_to` is the deployment that a rollback goes back to.
    """

    action: Action
    trigger: Trigger
    commit: CommitSha
    tell: Change
    history_rewritten: bool = False
    rolled_back_to: DeploymentId | None = None


def publish(
    context: Context, live: Live, decision: Decision, archives: Iterable[bytes], intent: Intent, deadline: Deadline
) -> Pointer:
    """Make a decision live.

    A crash before the pointer leaves objects that nobody names; one after it leaves a record that the next sync writes.
    Pullers are told beside the bookkeeping, once; one that hears nothing looks by itself.

    Args:
        context: The ports.
        live: What was read; the pointer moves only if it still stands at that generation.
        decision: The next manifest and what it changes.
        archives: The archives of the decision's candidates.
        intent: What the pointer is to say.
        deadline: The pointer does not move after it.

    Returns:
        The new pointer.

    Raises:
        ConflictError: another deployment came first; gather again.
        DeadlineError: the time was over before the pointer moved.
    """
    data = publishable(decision.manifest)
    context.together(_preparations(context, live, decision, [*archives, data]))
    deadline.check()
    manifest = ManifestRef(sha256=digest_of(data), size=len(data), skills=len(decision.manifest.skills))
    pointer = _pointer(context, live.pointer, intent, _status(intent.action, decision), manifest, deadline)
    envelope = sign_pointer(pointer, context.signer)
    swap(context.store, CURRENT, envelope, if_generation=live.generation)
    _announce(pointer, decision)
    took = deadline.elapsed() * 1000

    def tell() -> Change:
        fed = feed_now(context, live, envelope, pointer, decision)
        return lambda summary: fed(with_latency(intent.tell(summary), pointer.deployed_at[:10], took))

    recorded = partial(record_deployment, context, live, envelope, pointer, decision, tell)
    rival = _with_nudge(context, envelope, recorded)
    if rival is not None:
        record_pause(context, fork_of(pointer, envelope, rival))
    return pointer


def publishable(manifest: Manifest) -> bytes:
    """Return a manifest's bytes.

    Raises:
        InputError: `MANIFEST_TOO_LARGE`; no puller would take it.
    """
    data = manifest_bytes(manifest)
    if len(data) > MAX_MANIFEST_BYTES:
        raise InputError("MANIFEST_TOO_LARGE", f"a manifest has at most {MAX_MANIFEST_BYTES} bytes, got {len(data)}")
    return data


def refresh(context: Context, live: Live, pointer: Pointer, commit: CommitSha) -> Pointer:
    """Sign the same deployment again, with the head that was now decided on and with new dates.

    Raises:
        ConflictError: another writer came first; gather again.
    """
    now = context.clock.now()
    fresh = refreshed(pointer, commit=commit, now=now, poll_seconds=context.poll_seconds)
    swap(context.store, CURRENT, sign_pointer(fresh, context.signer), if_generation=live.generation)
    return fresh


def _pointer(
    context: Context, former: Pointer | None, intent: Intent, status: Status, manifest: ManifestRef, deadline: Deadline
) -> Pointer:
    now = context.clock.now()
    move = Move(
        action=intent.action,
        status=status,
        trigger=intent.trigger,
        commit=intent.commit,
        manifest=manifest,
        history_rewritten=intent.history_rewritten,
        token=context.token(),
        asked_at=timestamp(now - timedelta(seconds=deadline.elapsed())),
        rolled_back_to=intent.rolled_back_to,
    )
    return next_pointer(former, move, trust=context.trust, now=now, poll_seconds=context.poll_seconds)


def _preparations(context: Context, live: Live, decision: Decision, new: list[bytes]) -> list[Callable[[], object]]:
    # By digest: skills of the same content share one archive, and must not get in each other's way.
    brought = {digest_of(data): data for data in new}
    calls: list[Callable[[], object]] = [partial(write_object, context.store, data) for data in brought.values()]
    calls += [partial(renew_object, context.store, digest) for digest in sorted(_returning(decision) - brought.keys())]
    former = live.pointer
    if former is not None:
        calls.append(lambda: write_record(context.store, former.deployment, live.envelope))
    return calls


def _with_nudge(context: Context, envelope: bytes, recorded: Callable[[], Witness | None]) -> Witness | None:
    if context.nudge is None:
        return recorded()
    nudge = context.nudge
    _, rival = context.together([lambda: nudge(envelope), recorded])
    return rival


def _returning(decision: Decision) -> set[Digest]:
    return {decision.manifest.skills[key].archive for key in decision.published}


def _status(action: Action, decision: Decision) -> Status:
    if action is Action.ROLLBACK:
        return Status.ROLLED_BACK
    only_withheld = decision.withheld and not (decision.published or decision.removed)
    return Status.REJECTED if only_withheld else Status.SUCCESS


def _announce(pointer: Pointer, decision: Decision) -> None:
    log.info(
        "Successfully deployed" if pointer.status is not Status.REJECTED else "Nothing published: all changes withheld",
        deployment=pointer.deployment,
        commit=pointer.commit,
        trigger=pointer.trigger.value,
        skills=pointer.manifest.skills,
        published=decision.published,
        removed=decision.removed,
        withheld=[item.id for item in decision.withheld],
    )
