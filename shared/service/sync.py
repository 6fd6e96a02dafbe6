"""The sync: make what is live agree with the branch head. Webhook, poll and operator all mean this and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import log
from shared.core.credential_notes import are_news
from shared.core.decide import Decision, Occasion, decide, to_judge
from shared.core.manifest import empty_manifest
from shared.core.names import parse_timestamp, timestamp
from shared.core.polling import is_poller_stale
from shared.core.rules import rule_set_version
from shared.core.summary import with_poll, with_webhook
from shared.errors import ConflictError, DeadlineError, NotFoundError, PausedError, RejectedError, UnavailableError
from shared.model import Action, Standing, Status, Trigger
from shared.service.gather import Head, judge_skills, read_head
from shared.service.head import HeadReader
from shared.service.live import read_live
from shared.service.lost import record_lost_webhooks
from shared.service.objects import read_manifest
from shared.service.publish import Intent, publish, refresh
from shared.service.quota import obey, with_credentials, with_quota
from shared.service.record import heal, note, record_failure, record_rewrite, secure_record
from shared.service.recover import ground, recover, told_recovered
from shared.service.undo import undo_failed
from shared.service.upload import REFUSALS as UPLOADS_REFUSED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.core.case import Verdict
    from shared.core.summary import Change, Summary
    from shared.model import CommitSha, DeploymentId, Finding, Manifest, Pointer, Push, SkillId, TreeId, Withheld
    from shared.service.context import Context, Deadline
    from shared.service.live import Live

_NOT_WITHHELD = "NOT_WITHHELD"
_REFUSALS = UPLOADS_REFUSED | {_NOT_WITHHELD}
"""What is the caller's mistake, and no failure of the sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is asked for.

    `push` is what a webhook said, `hook` the number of the hook that made the call, `release` the withheld skills that a
    person lets go.
    """

    trigger: Trigger
    push: Push | None = None
    hook: int | None = None
    release: tuple[SkillId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a sync ended. `status` is None when nothing changed; `deployment` is then the one that goes on being live.

    `is_quiet` when no alert can follow from it: what is withheld stayed as it was, and polls come as they should.
    """

    status: Status | None
    deployment: DeploymentId
    commit: CommitSha
    published: tuple[tuple[SkillId, str], ...] = ()
    removed: tuple[SkillId, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    warnings: Mapping[SkillId, tuple[Finding, ...]] | None = None
    is_quiet: bool = False


def synchronise(context: Context, command: Command, deadline: Deadline) -> Outcome:
    """Gather, decide, apply; again from the start when another deployment came first.

    Args:
        context: The ports.
        command: What is asked for.
        deadline: Until when the pointer may move.

    Raises:
        DeadlineError: not finished in time; the next poll finishes.
        PausedError: an operator must act first.
        UnavailableError: source or store did not answer; the pointer is untouched, or has moved with all that it needs.
        NotFoundError: `NOT_WITHHELD`, a skill to be released is not withheld.
        InputError: an upload is refused, as `UploadedSource` says.
    """
    run = _Run(context, command, deadline)
    while True:
        deadline.check()
        try:
            outcome = run.once()
        except ConflictError as conflict:
            log.info("Another deployment came first; gathering again", code=conflict.code)
        except DeadlineError:
            raise
        except PausedError:
            raise  # it is written down where it was found
        except (UnavailableError, RejectedError) as error:
            if error.code in _REFUSALS:
                raise
            # A source that is cut off by our own deadline has not failed; the next poll gives it more time.
            deadline.check()
            record_failure(context, error.code)
            raise
        else:
            if run.found_unannounced:
                record_lost_webhooks(context, deadline)
            return outcome


class _Run:
    """One call of `synchronise`; what must stay the same over its attempts lives here."""

    def __init__(self, context: Context, command: Command, deadline: Deadline) -> None:
        self._context = context
        self._command = command
        self._deadline = deadline
        self._heads = HeadReader(context.source, context.clock, command.push)
        self._rules = rule_set_version(context.terms)
        self._release: dict[SkillId, TreeId | None] | None = None
        self.found_unannounced = False
        """Whether a poll found commits that no webhook has brought: their calls may have been lost."""

    def once(self) -> Outcome:
        """Try once, from the pointer on. A poll first takes back what pullers say failed; the next one then goes on."""
        context = self._context
        polls = self._command.trigger is Trigger.POLLING
        live = read_live(context, thorough=polls)
        reports = live.reports if polls else ()
        if recover(context, live, self._command.trigger, self._deadline) or heal(context, live):
            live = read_live(context)
        undone = undo_failed(context, live, reports, self._deadline)
        if undone is not None:
            return outcome_of(*undone)
        obey(context, live.summary)
        commit = self._heads.settled_head(live.pointer, self._deadline)
        if live.pointer is not None and live.pointer.commit == commit and self._is_plain():
            return self._unchanged(live, live.pointer, commit)
        before = self._manifest(live)
        self._bind_release(before)
        outdated = self._command.trigger is Trigger.POLLING and self._is_outdated(before)
        new_head = live.pointer is None or live.pointer.commit != commit
        self.found_unannounced |= new_head and self._command.trigger is Trigger.POLLING
        if live.pointer is not None and not (new_head or outdated or self._release):
            return self._unchanged(live, live.pointer, commit)
        context.judge.prepare()
        head = read_head(context, commit)
        occasion = self._occasion(commit, new_head=new_head, rejudge=outdated)
        verdicts = judge_skills(context, before, head, to_judge(before, head.skills, occasion), self._deadline)
        decision = decide(before, head.skills, verdicts, occasion)
        if live.pointer is not None and decision.manifest == before:
            return self._unchanged(live, live.pointer, commit)
        outcome = self._publish(live, decision, verdicts, head)
        return replace(outcome, is_quiet=decision.manifest.withheld == before.withheld and self._is_polled(live))

    def _publish(self, live: Live, decision: Decision, verdicts: Mapping[SkillId, Verdict], head: Head) -> Outcome:
        touched = decision.judged + len(decision.removed)
        log.info(f"Processing {touched} changed skill files", commit=head.commit)
        archives = [
            verdict.candidate.archive
            for key, verdict in verdicts.items()
            if verdict.candidate is not None and key in decision.published
        ]
        intent = Intent(
            action=Action.RELEASE if self._command.release else Action.DEPLOY,
            trigger=self._command.trigger,
            commit=head.commit,
            tell=self._tell(head.commit),
            history_rewritten=self._is_rewritten(live.pointer, head.commit),
        )
        pointer = publish(self._context, live, decision, archives, intent, self._deadline)
        if live.formers or live.orphan:
            told_recovered(self._context)
        if self._command.trigger is Trigger.POLLING:
            log.info("Deployed via polling fallback", deployment=pointer.deployment)
        return outcome_of(pointer, decision)

    def _unchanged(self, live: Live, pointer: Pointer, commit: CommitSha) -> Outcome:
        polled = self._command.trigger is Trigger.POLLING
        if self._is_rewritten(pointer, commit):
            record_rewrite(self._context, pointer, commit)
        renews = pointer.commit != commit or (polled and self._is_ageing(pointer))
        if renews or polled:
            secure_record(self._context, live)
        if renews:
            refresh(self._context, live, pointer, commit)
        if polled or self._command.trigger is Trigger.WEBHOOK or are_news(live.summary, self._context.uses):
            note(self._context, live, self._tell(commit))
        return Outcome(status=None, deployment=pointer.deployment, commit=commit, is_quiet=self._is_polled(live))

    def _is_polled(self, live: Live) -> bool:
        context = self._context
        return not is_poller_stale(live.summary, context.poll_seconds, context.clock.now())

    def _is_plain(self) -> bool:
        return not self._command.release and self._command.trigger is not Trigger.POLLING

    def _is_outdated(self, before: Manifest) -> bool:
        return before.rules != self._rules or before.root != self._context.root

    def _is_ageing(self, pointer: Pointer) -> bool:
        age = self._context.clock.now() - parse_timestamp(pointer.issued_at)
        return age > timedelta(seconds=self._context.poll_seconds / 2)

    def _is_rewritten(self, pointer: Pointer | None, commit: CommitSha) -> bool:
        return pointer is not None and self._heads.standing(pointer.commit, commit) in {
            Standing.DIVERGED,
            Standing.BEHIND,
        }

    def _manifest(self, live: Live) -> Manifest:
        if live.pointer is not None:
            return read_manifest(self._context.store, live.pointer.manifest.sha256)
        former = ground(self._context, live)
        if former is not None:
            return former
        trust, root = self._context.trust, self._context.root
        return empty_manifest(channel=trust.channel, repo=trust.repo, root=root, rules=self._rules)

    def _bind_release(self, before: Manifest) -> None:
        # A release is for what the person saw, not for what the head may hold by the time of another attempt.
        if self._release is not None:
            return
        unknown = [key for key in self._command.release if key not in before.withheld]
        if unknown:
            raise NotFoundError(_NOT_WITHHELD, f"not withheld: {', '.join(unknown)[:200]}")
        self._release = {key: before.withheld[key].tree for key in self._command.release}

    def _occasion(self, commit: CommitSha, *, new_head: bool, rejudge: bool) -> Occasion:
        return Occasion(
            commit=commit,
            new_head=new_head,
            release=self._release or {},
            rejudge=rejudge,
            policy=self._context.terms.validation,
            rules=self._rules,
            root=self._context.root,
        )

    def _tell(self, commit: CommitSha) -> Change:
        at = timestamp(self._context.clock.now())

        def change(summary: Summary) -> Summary:
            summary = with_credentials(self._context, with_quota(self._context, summary), at)
            if self._command.trigger is Trigger.POLLING:
                return with_poll(summary, at, commit)
            return (
                with_webhook(summary, at, self._command.hook) if self._command.trigger is Trigger.WEBHOOK else summary
            )

        return change


def outcome_of(pointer: Pointer, decision: Decision) -> Outcome:
    """Describe a deployment for its caller."""
    return Outcome(
        status=pointer.status,
        deployment=pointer.deployment,
        commit=pointer.commit,
        published=tuple((key, decision.manifest.skills[key].version) for key in decision.published),
        removed=decision.removed,
        withheld=decision.withheld,
        warnings=decision.warnings,
    )
