"""Bookkeeping behind the pointer: records, events and the summary, and healing them after a crash.

The pointer is what counts. Nothing here can undo a deployment, and all of it can be written again by the next sync.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import log
from shared.core.decide import Decision, changes
from shared.core.events import event, events_of
from shared.core.manifest import empty_manifest
from shared.core.names import record_name, timestamp
from shared.core.rewind import Witness
from shared.core.summary import (
    Summary,
    line_of,
    missing_from,
    with_deployments,
    with_failure,
)
from shared.core.verify import UnverifiedPointer, read_memory
from shared.core.withheld_note import with_withheld
from shared.errors import ConflictError, RejectedError, SkillSyncError, UnavailableError, UnverifiedError
from shared.model import Action
from shared.service import telling
from shared.service.objects import read_manifest, read_record, write_record
from shared.service.quota import with_quota
from shared.service.summary_store import read_summary, swap_summary

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.core.summary import Change
    from shared.model import CommitSha, DeploymentId, Digest, Manifest, Pointer
    from shared.service.context import Context
    from shared.service.live import Live


def record_deployment(
    context: Context, live: Live, envelope: bytes, pointer: Pointer, decision: Decision, tell: Callable[[], Change]
) -> Witness | None:
    """Write what is known of a deployment whose pointer has just moved; a failure is left to the next sync.

    Args:
        context: The ports.
        live: What was read before, with the summary.
        envelope: The signed pointer.
        pointer: The same, readable.
        decision: What the deployment changed.
        tell: Finds out what else the summary is to be told, beside the writing of the record.

    Returns:
        A record of the same deployment with another manifest, where there was one before: the store was taken back in time,
        and this deployment is a second history. Nobody can see that sooner at no cost.
    """
    first: list[bool] = []

    def with_line(summary: Summary) -> Summary:
        return with_withheld(with_deployments(summary, [line_of(pointer, decision)]), pointer, decision)

    def summed_up() -> None:
        told = tell()
        update_summary(context, live, lambda summary: told(with_line(summary)))

    try:
        # Events first: once the summary has the line, nobody looks for missing events again.
        write_events(context, pointer, decision)
        context.together(
            [
                lambda: first.append(write_record(context.store, pointer.deployment, envelope)),
                summed_up,
            ]
        )
        return None if all(first) else _rival(context, pointer)
    except (UnavailableError, ConflictError) as error:
        log.warning("Bookkeeping is left to the next sync", code=error.code, deployment=pointer.deployment)
        return None


def _rival(context: Context, pointer: Pointer) -> Witness | None:
    # A record that the successor, or another try of this call, wrote first says the same.
    stored = context.store.get(record_name(pointer.deployment))
    if stored is None:
        return None
    try:
        former = read_memory(UnverifiedPointer(stored.data), context.trust)
    except UnverifiedError:
        return None  # nobody signed it: it accuses nobody
    if former.deployment != pointer.deployment or former.manifest.sha256 == pointer.manifest.sha256:
        return None
    return Witness(party="record", pointer=former, envelope=stored.data)


def heal(context: Context, live: Live) -> bool:
    """Write the records, events and lines that a crash left out, before anything else is done.

    Returns:
        Whether anything was missing; the summary must then be read again.
    """
    if live.pointer is None:
        return False
    missing = missing_from(live.summary, live.pointer)
    if not missing:
        return False
    write_record(context.store, live.pointer.deployment, live.envelope)
    found: list[tuple[Pointer, Decision]] = []
    for deployment in missing:
        pointer = live.pointer if deployment == live.pointer.deployment else readable_record(context, deployment)
        if pointer is not None:
            decision = _changes_of(context, pointer)
            write_events(context, pointer, decision)
            found.append((pointer, decision))

    def with_found(summary: Summary) -> Summary:
        summary = with_deployments(summary, [line_of(*each) for each in found])
        for each in found:
            summary = with_withheld(summary, *each)
        return summary

    update_summary(context, live, with_found)
    log.info("Wrote missing records", deployments=len(found))
    return True


def secure_record(context: Context, live: Live) -> None:
    """Write the live deployment's record if it may be missing; to be called before its pointer is refreshed.

    Record and line are written side by side, so a line alone does not prove that the record is there. A pointer that has
    been refreshed does.
    """
    pointer = live.pointer
    if pointer is not None and pointer.issued_at == pointer.deployed_at:
        write_record(context.store, pointer.deployment, live.envelope)


def update_summary(context: Context, live: Live, change: Change) -> None:
    """Change the summary by compare-and-swap, again from what is there now when another writer came first.

    Raises:
        ConflictError: `SUMMARY_BUSY`, after several tries.
    """
    swap_summary(context.store, live.summary, live.summary_generation, change)


def note(context: Context, live: Live, change: Change) -> None:
    """Change the summary if that works; what is only counted must never fail a call."""
    try:
        update_summary(context, live, change)
    except SkillSyncError as error:
        log.warning("The summary was not updated", code=error.code)


def record_failure(context: Context, code: str) -> None:
    """Note that a sync failed, with one event when the fault is a new one; never fails itself."""
    at = timestamp(context.clock.now())
    try:
        summary, generation = read_summary(context.store)
        if summary.poller.get("error") != code:
            telling.tell(
                context.store, *event(at, f"failed-{code.lower()}", "failed", {"code": code}), context.clock.now()
            )
        swap_summary(context.store, summary, generation, lambda held: with_failure(with_quota(context, held), at, code))
    except SkillSyncError as error:
        log.warning("The failure was not noted", code=error.code, failure=code)


def record_rewrite(context: Context, pointer: Pointer, commit: CommitSha) -> None:
    """Write the event of a force-push that changed no skill; it has no deployment that could tell."""
    details: dict[str, object] = {"commit": commit, "previous_commit": pointer.commit}
    name, data = event(pointer.issued_at, f"history-rewritten-{commit[:12]}", "history-rewritten", details)
    telling.tell(context.store, name, data, context.clock.now())


def write_events(context: Context, pointer: Pointer, decision: Decision) -> None:
    """Write a deployment's events; written again after a crash they have the same names, so nothing is doubled."""
    now = context.clock.now()
    context.together(
        [
            lambda name=name, data=data: telling.tell(context.store, name, data, now)  # type: ignore[misc]
            for name, data in events_of(pointer, decision)
        ]
    )


def readable_record(context: Context, deployment: DeploymentId) -> Pointer | None:
    """Read a deployment's record; one that cannot be verified is logged and counts as none."""
    try:
        return read_record(context.store, context.trust, deployment)
    except RejectedError as error:
        log.warning("A deployment's record cannot be verified", code=error.code, deployment=deployment)
        return None


def _changes_of(context: Context, pointer: Pointer) -> Decision:
    nothing = empty_manifest(channel=context.trust.channel, repo=context.trust.repo, root=context.root, rules="")
    after = readable_manifest(context, pointer.manifest.sha256)
    if pointer.action is Action.RECOVER and after is not None:
        return Decision(manifest=after)  # an epoch opens with what was live
    before = readable_manifest(context, pointer.history[-1][1]) if pointer.history else nothing
    if before is None or after is None:
        # Collected by now, or damaged: of what is not known nothing is told.
        return Decision(manifest=after or nothing)
    return changes(before, after)


def readable_manifest(context: Context, digest: Digest) -> Manifest | None:
    """Read a manifest; one that is lost or damaged is logged and counts as none.

    Raises:
        UnavailableError: the store does not answer.
    """
    try:
        return read_manifest(context.store, digest)
    except (RejectedError, UnavailableError) as error:
        if isinstance(error, UnavailableError) and error.code != "OBJECT_CORRUPT":
            raise
        log.warning("A deployment's manifest cannot be read", code=error.code, digest=digest)
        return None
