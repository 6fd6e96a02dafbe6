"""Taking back what failed its health check at a puller. Which skills go back is `core.unhealthy`'s business.

The function that takes reports only keeps them: it has no signing key. The poll reads all of them anyway, and acts. It does
so before it reads the head, so that a broken deployment goes back while the source is down.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.manifest import empty_manifest
from shared.core.pointer import lineage
from shared.core.unhealthy import Failure, can_be_undone, failed_deployments, standing, undo
from shared.errors import NotFoundError, UnavailableError
from shared.model import Action, DeploymentId, Trigger
from shared.service.objects import read_object
from shared.service.publish import Intent, publish
from shared.service.record import readable_manifest, readable_record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shared.core.decide import Decision
    from shared.model import CommitSha, Digest, Manifest, Pointer
    from shared.service.context import Context, Deadline
    from shared.service.live import Live


def undo_failed(
    context: Context, live: Live, reports: Sequence[Mapping[str, object]], deadline: Deadline
) -> tuple[Pointer, Decision] | None:
    """Publish one deployment that takes back what pullers say failed; None where nothing is left to take back.

    Whether anything is left is told by the manifests alone. A report may therefore lie there for as long as it likes: after
    a crash, or when several pullers say the same, nothing happens twice.

    Args:
        context: The ports; the source is not asked.
        live: What is live.
        reports: The pullers' last ones.
        deadline: The pointer does not move after it.

    Raises:
        ConflictError: another deployment came first; gather again.
        DeadlineError: the time was over before the pointer moved.
    """
    pointer = live.pointer
    rows = {} if pointer is None else failed_deployments(reports, pointer)
    now = readable_manifest(context, pointer.manifest.sha256) if pointer is not None and rows else None
    if pointer is None or now is None:
        return None
    found = (_first_failure(context, pointer, now, row, suspects) for row, suspects in rows.items())
    failures = [failure for failure in found if failure is not None]
    decision = _decision(context, now, failures, pointer.commit)
    if decision.manifest == now:
        return None
    log.warning(
        "A health check failed: what the deployment changed goes back",
        failed=sorted({f"{pointer.epoch}-{seq}" for row in rows for seq in row}),
        published=decision.published,
        removed=decision.removed,
    )
    # The head was not read: nothing that the summary could be told.
    intent = Intent(action=Action.DEPLOY, trigger=Trigger.POLLING, commit=pointer.commit, tell=lambda summary: summary)
    return publish(context, live, decision, (), intent, deadline), decision


def _first_failure(
    context: Context, pointer: Pointer, now: Manifest, row: Sequence[int], suspects: Collection[int]
) -> Failure | None:
    """Read the oldest of several failures in a row of which anything is left."""
    found = (_failure(context, pointer, now, seq, suspects) for seq in row)
    return next((failure for failure in found if failure is not None), None)


def _failure(context: Context, pointer: Pointer, now: Manifest, seq: int, suspects: Collection[int]) -> Failure | None:
    """Read what a failed deployment changed; None when nothing of it is left, it is not undone, or not all can be read.

    Args:
        context: The ports.
        pointer: The live one.
        now: The live manifest.
        seq: The deployment.
        suspects: Those that a skill must not go back to.
    """
    known = dict(lineage(pointer))
    record = readable_record(context, DeploymentId(f"{pointer.epoch}-{seq}"))
    if record is None or record.manifest.sha256 != known[seq]:
        return None
    # By the live pointer's word, not the record's: its signer may be revoked, and its predecessor anybody's content.
    before = _made_by(context, known, now, seq - 1)
    failed = readable_manifest(context, known[seq])
    if before is None or failed is None or not can_be_undone(record, before, failed):
        return None
    last_good = next(each for each in range(seq - 1, -1, -1) if each not in suspects)
    good = before if last_good == seq - 1 else _made_by(context, known, now, last_good)
    if good is None:
        return None
    failure = Failure(before=before, failed=failed, since=(now,), good=good)
    # A report lies there until the next one: nearly always its deployment is undone already, and no more has to be read.
    return _with_all_since(context, failure, [known[later] for later in known if later > seq])


def _made_by(context: Context, known: Mapping[int, Digest], now: Manifest, seq: int) -> Manifest | None:
    """Read what a deployment made live, the one before the first being nothing; None when that is not known any more."""
    if seq in known:
        return readable_manifest(context, known[seq])
    return _nothing(now) if seq == 0 else None


def _with_all_since(context: Context, failure: Failure, digests: Sequence[Digest]) -> Failure | None:
    if not standing(failure):
        return None
    since = [readable_manifest(context, digest) for digest in digests]
    whole = [manifest for manifest in since if manifest is not None]
    return replace(failure, since=whole) if len(whole) == len(since) else None


def _nothing(now: Manifest) -> Manifest:
    return empty_manifest(channel=now.channel, repo=now.repo, root=now.root, rules=now.rules)


def _decision(context: Context, now: Manifest, failures: Sequence[Failure], commit: CommitSha) -> Decision:
    """Decide what goes back; a skill whose former archive is lost stays as it is, and stands in nobody else's way."""
    decision = undo(now, failures, commit, frozenset())
    lost = {key for key in decision.published if not _is_there(context, decision.manifest.skills[key].archive)}
    if not lost:
        return decision
    log.warning("Skills that failed cannot go back: what they were is lost", skills=sorted(lost))
    return undo(now, failures, commit, lost)


def _is_there(context: Context, archive: Digest) -> bool:
    try:
        return bool(read_object(context.store, archive))
    except NotFoundError:
        return False
    except UnavailableError as error:
        if error.code != "OBJECT_CORRUPT":
            raise
        return False
