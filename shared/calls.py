"""The calls that sync or validate, each within the seconds that its caller can wait. Reading alone is `reading`'s business."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared import log, wiring
from shared.errors import PausedError, SkillSyncError, UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.config import Settings
    from shared.core.credential_notes import Use
    from shared.core.upload import Tree
    from shared.core.validation_report import Report
    from shared.model import CommitSha, DeploymentId, Push, SkillId, Trigger
    from shared.service.context import Context, Deadline
    from shared.service.preview import Preview
    from shared.service.sync import Outcome

WEBHOOK_SECONDS = 8.0
"""GitHub waits 10 s for an answer."""
ANSWER_SECONDS = 9.0
"""After which a webhook is answered at the latest, with what is asked for then; from when the call came to this process."""
DEFERRING_SECONDS = 1.0
NAME_SECONDS = 600
"""Deliveries of one push within such a stretch of time ask for one poll. A task's name stays taken for hours after it is done
(https://cloud.google.com/tasks/docs/reference/rest/v2/projects.locations.queues.tasks/create), so the head alone is no name: a
push that is deferred again later would ask for nothing.
"""
OPERATOR_SECONDS = 25.0

_SHA_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a call brought: a webhook's push and its hook's number, skills to release, and under which credentials it came."""

    push: Push | None = None
    hook: int | None = None
    release: tuple[SkillId, ...] = ()
    uses: tuple[Use, ...] = ()


ASKED_NOTHING = Asked()


def synchronise(
    found: Settings,
    seconds: float,
    trigger: Trigger,
    asked: Asked = ASKED_NOTHING,
) -> Outcome:
    """Run a sync under these settings, within so many seconds; errors are those of the use case."""
    if asked.push is not None and asked.push.changed_skill_files:
        # It will be needed, and starts while everything else is loaded and asked.
        wiring.judge().prepare()
    from shared.service.sync import Command, synchronise

    command = Command(trigger=trigger, push=asked.push, hook=asked.hook, release=asked.release)

    def run(built: Context, deadline: Deadline) -> Outcome:
        return synchronise(replace(built, uses=asked.uses), command, deadline)

    return _under_trust(found, seconds, run, trigger)


def ask_for_poll(found: Settings, head: CommitSha, elapsed_seconds: float) -> None:
    """Ask for the poll that finishes what a webhook could not, where there is a queue for it; never fails.

    Args:
        found: The settings.
        head: What the branch should come to: deliveries of one push ask for one poll.
        elapsed_seconds: How long the call has been here.
    """
    seconds = max(0.0, min(DEFERRING_SECONDS, ANSWER_SECONDS - elapsed_seconds))
    try:
        deferral = wiring.deferral(found)
        if deferral is None:
            return
        deferral(f"poll-{head}-{int(wiring.now().timestamp()) // NAME_SECONDS}", seconds)
    except SkillSyncError as error:
        log.warning("The poll could not be asked for", code=error.code)
    else:
        log.info("A poll was asked for", head=head)


def note_ping(found: Settings, use: Use) -> None:
    """Note under which secret a hook's ping came in; that it cannot be noted is no fault of the ping's."""
    from shared.core.credential_notes import with_uses
    from shared.core.names import timestamp
    from shared.service.summary_store import change_summary

    at = timestamp(wiring.now())
    try:
        change_summary(wiring.store(found), lambda summary: with_uses(summary, (use,), at))
    except SkillSyncError as error:
        log.warning("The ping was not noted", code=error.code)


def roll_back(found: Settings, seconds: float, to: DeploymentId) -> Outcome:
    """Run a rollback under these settings, within so many seconds; errors are those of the use case."""
    from shared.model import Trigger
    from shared.service.rollback import roll_back

    return _under_trust(found, seconds, lambda built, deadline: roll_back(built, to, deadline), Trigger.ROLLBACK)


def deploy(found: Settings, seconds: float, commit: CommitSha, tree: Tree, uses: tuple[Use, ...]) -> Outcome:
    """Run a sync whose head is an uploaded commit, within so many seconds; errors are those of the use case.

    Args:
        found: The settings.
        seconds: How long it may take.
        commit: The commit, which may win only as `UploadedSource` says.
        tree: Its content.
        uses: Under which credentials the call came in.
    """
    from shared.model import Trigger
    from shared.service.sync import Command, synchronise
    from shared.service.upload import UploadedSource

    def run(built: Context, deadline: Deadline) -> Outcome:
        source = UploadedSource(built.source, commit, tree)
        return synchronise(replace(built, source=source, uses=uses), Command(trigger=Trigger.ACTIONS), deadline)

    return _under_trust(found, seconds, run, Trigger.ACTIONS)


def preview(found: Settings, seconds: float) -> Preview:
    """Say what an operator's sync would do now, and write nothing; errors are those of the use case."""
    from shared.service.preview import preview

    with log.scope():
        built, deadline = wiring.context(found, seconds)
        while True:
            try:
                return preview(built, deadline)
            except (UnverifiedError, PausedError) as error:
                built = _under_newer_trust(found, seconds, built, error)
                deadline.check()


def _under_trust(
    found: Settings, seconds: float, call: Callable[[Context, Deadline], Outcome], trigger: Trigger
) -> Outcome:
    # Every poll looks for a newer trust; another call does so when it finds what the known one does not explain.
    from shared.model import Trigger
    from shared.service.afterwards import tell_after

    with log.scope():  # all attempts are one sync, also where no request opened a scope
        built, deadline = wiring.context(found, seconds, fresh_trust=trigger is Trigger.POLLING)

        def run() -> Outcome:
            nonlocal built
            try:
                while True:
                    try:
                        return call(built, deadline)
                    except (UnverifiedError, PausedError) as error:
                        built = _under_newer_trust(found, seconds, built, error)
                        deadline.check()
            finally:
                if trigger is Trigger.POLLING:
                    _after_poll(built, deadline)

        return tell_after(run, trigger, deadline, lambda left: _tell(built, trigger, left))


def _tell(built: Context, trigger: Trigger, seconds: float) -> None:
    from shared.service.alerting import tell_all

    tell_all(built, trigger, seconds)


def _after_poll(built: Context, deadline: Deadline) -> None:
    from shared.service.audit import catch_up
    from shared.service.housekeeping import keep_house

    catch_up(built, deadline)
    keep_house(built, deadline)


def _under_newer_trust(found: Settings, seconds: float, built: Context, error: SkillSyncError) -> Context:
    fresh, _ = wiring.context(found, seconds, fresh_trust=True)
    if fresh.trust.version == built.trust.version:
        raise error
    log.info("A newer trust may explain it", code=error.code, version=fresh.trust.version)
    return fresh


def validate_ref(found: Settings, seconds: float, ref: str) -> Report:
    """Validate a branch or a commit of the configured repository; errors are those of the source."""
    from shared.model import CommitSha
    from shared.service.context import Deadline
    from shared.service.validate import validate_commit

    deadline = Deadline(wiring.clock(), seconds)
    judge = wiring.judge()
    judge.prepare()
    is_commit = len(ref) == _SHA_CHARS and not set(ref) - set("0123456789abcdef")
    branch = found.github_branch if is_commit else ref
    upstream = wiring.upstream(replace(found, github_branch=branch), deadline.remaining)
    commit = CommitSha(ref) if is_commit else None
    return validate_commit(
        upstream.source,
        commit,
        lambda case: judge([case], deadline.remaining())[0],
        wiring.terms(found),
        found.skills_root,
    )


def validate_tree(found: Settings, seconds: float, tree: Tree, root: str) -> Report:
    """Validate an uploaded tree; UnavailableError when it cannot be judged in so many seconds."""
    from shared.service.context import Deadline
    from shared.service.validate import validate

    deadline = Deadline(wiring.clock(), seconds)
    judge = wiring.judge()
    return validate(
        tree.listing,
        lambda _entries: tree.contents,
        lambda case: judge([case], deadline.remaining())[0],
        wiring.terms(found),
        root,
    )
