"""What the store says is live: the pointer with its generation, and the summary beside it, if they may be believed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.names import CURRENT, SUMMARY
from shared.core.pointer import refreshed, sign_pointer
from shared.core.states import PAUSING, PENDING, in_force
from shared.core.summary import Summary, parse_summary
from shared.core.verify import UnverifiedPointer, read_pointer
from shared.errors import UnverifiedError
from shared.service.objects import read_manifest, swap
from shared.service.pause import accusation_of, paused, record_pause, refuse_while_latched
from shared.service.summary_store import change_summary
from shared.service.survey import survey
from shared.service.trust import walk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.core.rewind import Witness
    from shared.model import Pointer
    from shared.service.context import Context
    from shared.service.survey import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """One consistent look at what is live. Generation 0: the object did not exist.

    `pointer` is None before the first deployment of an epoch; `formers` are then the pointers of older ones, newest first;
    where there are none, `orphan` is the newest that a signer wrote who has been revoked since. `reports` are the pullers'
    last ones, after a thorough look.
    """

    pointer: Pointer | None
    envelope: bytes
    generation: int
    summary: Summary
    summary_generation: int
    formers: tuple[Witness, ...] = ()
    orphan: Witness | None = None
    reports: Sequence[Mapping[str, object]] = ()


def read_live(context: Context, *, thorough: bool = False) -> Live:
    """Read pointer and summary side by side, and prove that one of our own signers wrote the pointer.

    The pointer is read before the branch head, always: a head that is older than the pointer could move content back.

    Args:
        context: The ports.
        thorough: Compare with all that is remembered anywhere; else only where the first look makes it necessary.

    Raises:
        PausedError: the store was taken back in time, or speaks of another line of deployments.
        UnverifiedError: nobody we know signed the pointer in the store, and nothing tells what was live.
    """
    live = None if thorough else _quick(context)
    if live is not None:
        return live
    found = survey(context.store, context.trust, context.together, context.clock.now(), audit=context.audit)
    if found.verdict.restore is not None and not _is_blocked(found) and _trust_stands(context):
        _restore(context, found, found.verdict.restore)
        found = survey(context.store, context.trust, context.together, context.clock.now(), audit=context.audit)
    return _settled(context, found)


def peek_live(context: Context) -> Live:
    """Tell what `read_live` would return, and write nothing: no latch, no evidence, and nothing is put back.

    Raises:
        PausedError: as `read_live`.
        UnverifiedError: as `read_live`.
    """
    live = _quick(context)
    if live is not None:
        return live
    found = survey(context.store, context.trust, context.together, context.clock.now(), audit=context.audit)
    if _is_blocked(found):
        raise paused(found, context.trust)
    restored = found.verdict.restore
    if restored is None or not _trust_stands(context):
        return _found_live(found)
    read_manifest(context.store, restored.pointer.manifest.sha256)
    return replace(_with_pointer(found, restored.pointer), envelope=restored.envelope)


def _trust_stands(context: Context) -> bool:
    """Whether no newer trust explains what was found; only then may the store be accused, or put right.

    A version is uploaded before anything is signed under it, so a look after the finding sees every version that matters.
    """
    return walk(context.store, context.trust)[0].version == context.trust.version


def _quick(context: Context) -> Live | None:
    """Return what is live where nothing is odd; that is nearly always."""
    current, stored = context.together([lambda: context.store.get(CURRENT), lambda: context.store.get(SUMMARY)])
    summary = Summary() if stored is None else parse_summary(stored.data)
    refuse_while_latched(summary, context.trust)
    if current is None:
        return None
    try:
        pointer = read_pointer(UnverifiedPointer(current.data), context.trust)
    except UnverifiedError:
        return None
    if summary.newest > (pointer.epoch, pointer.seq):
        return None  # rewound, or both were read while another deployment moved them
    return Live(
        pointer=pointer,
        envelope=current.data,
        generation=current.generation,
        summary=summary,
        summary_generation=0 if stored is None else stored.generation,
    )


def _settled(context: Context, found: Survey) -> Live:
    is_news = in_force(found.summary.latches, context.trust) != found.latches
    if _is_blocked(found):
        # Under a newer trust the caller comes again; what is written down already is not written again.
        if is_news and _trust_stands(context):
            record_pause(context, accusation_of(found))
        raise paused(found, context.trust)
    if is_news:
        # Latches that nothing signed stands behind: anybody with a way into the bucket could have written them.
        change_summary(context.store, lambda summary: replace(summary, latches=found.latches))
    return _found_live(found)


def _found_live(found: Survey) -> Live:
    verdict = found.verdict
    if verdict.pointer is None and verdict.reason not in {"", PENDING}:
        raise UnverifiedError(verdict.reason, verdict.detail)
    return _with_pointer(found, verdict.pointer)


def _with_pointer(found: Survey, pointer: Pointer | None) -> Live:
    return Live(
        pointer=pointer,
        envelope=b"" if found.current is None else found.current.data,
        generation=0 if found.current is None else found.current.generation,
        summary=found.summary,
        summary_generation=found.summary_generation,
        formers=found.verdict.formers,
        orphan=found.verdict.orphan,
        reports=found.reports,
    )


def _is_blocked(found: Survey) -> bool:
    return any(reason in PAUSING and reason != PENDING for reason in found.state.reasons)


def _restore(context: Context, found: Survey, witness: Witness) -> None:
    """Put back what is remembered, where `current` holds what nobody signed: such rubbish accuses nobody."""
    read_manifest(context.store, witness.pointer.manifest.sha256)
    fresh = refreshed(
        witness.pointer,
        commit=witness.pointer.commit,
        now=context.clock.now(),
        poll_seconds=context.poll_seconds,
    )
    generation = 0 if found.current is None else found.current.generation
    swap(context.store, CURRENT, sign_pointer(fresh, context.signer), if_generation=generation)
    log.warning("Nobody had signed the pointer; it is restored", deployment=fresh.deployment, witness=witness.party)
