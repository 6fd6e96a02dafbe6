"""What alerts can be about: one row a kind, with the words for people. When there is cause for one is `alerts`' business.

Every text here is fixed; what varies stands in the lines of a message, which `alerts` makes of ids, codes, digests and counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Tone(StrEnum):
    """How a message is meant: `ERROR` needs a person now, `WARNING` soon, `RECOVERY` not any more."""

    ERROR = "error"
    WARNING = "warning"
    RECOVERY = "recovery"


class Topic(StrEnum):
    """The kinds. The value is also the section of the runbook."""

    REJECTED = "withheld-by-the-rules"
    DELETION_GUARD = "deletion-guard"
    UNHEALTHY = "taken-back"
    FAILED = "deployment-failed"
    HEALTH_CHECK = "failed-health-check"
    PULLER_SILENT = "puller-silent"
    POLLER_STALE = "poller-stale"
    AUDIT_BEHIND = "audit-behind"
    PAUSED = "paused"
    POINTER_EXPIRY = "pointer-expiry"
    DRIFT = "drift"
    CREDENTIAL_DUE = "credential-due"
    CREDENTIAL_POLICY = "credential-policy"
    ROTATION_OPEN = "rotation-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a kind says, with `{n}` for the count.

    `settle`: so long a cause must have been gone before its end is told. What a state of the content causes ends with it; what
    is measured may come and go. `once`: it happened, and has no end.
    """

    tone: Tone
    one: str
    many: str
    meaning: str
    step: str
    settle: timedelta = timedelta(0)
    once: bool = False


RUNBOOK = "infra/runbooks/operations.md"
_MEASURED = timedelta(minutes=2)

WORDS: dict[Topic, Words] = {
    Topic.REJECTED: Words(
        tone=Tone.WARNING,
        one="1 skill withheld by the rules",
        many="{n} skills withheld by the rules",
        meaning="The last good versions stay live; the others of the push went on.",
        step="the author mends the findings and pushes again; GET /api/skills shows them with file and line.",
    ),
    Topic.DELETION_GUARD: Words(
        tone=Tone.ERROR,
        one="1 deletion waits for a person",
        many="{n} deletions wait for a person",
        meaning="A push deletes more than half of the skills; all of them stay live.",
        step="release them with POST /api/sync, or bring the folders back with a push.",
    ),
    Topic.UNHEALTHY: Words(
        tone=Tone.ERROR,
        one="1 skill taken back",
        many="{n} skills taken back",
        meaning="A gateway did not stand these versions; the ones before them are live again.",
        step="the author mends the skill and pushes again.",
    ),
    Topic.FAILED: Words(
        tone=Tone.ERROR,
        one="deployment failed",
        many="deployments failed",
        meaning="What is live stays live; every poll tries again.",
        step="look the code up in the runbook; GET /health names the newest one.",
        settle=_MEASURED,
    ),
    Topic.HEALTH_CHECK: Words(
        tone=Tone.ERROR,
        one="failed health check at 1 puller",
        many="failed health checks at {n} pullers",
        meaning="The puller serves what it had before, or cannot prove that its gateway loaded what is live.",
        step="look at the gateway and at the puller's own status.",
        settle=_MEASURED,
    ),
    Topic.PULLER_SILENT: Words(
        tone=Tone.ERROR,
        one="1 puller is silent",
        many="{n} pullers are silent",
        meaning="It goes on serving what it has, and gets nothing new.",
        step="see whether the puller runs, and run it with --check.",
        settle=_MEASURED,
    ),
    Topic.POLLER_STALE: Words(
        tone=Tone.ERROR,
        one="no poll has finished for three intervals",
        many="no poll has finished for three intervals",
        meaning="Lost webhooks are not made up for, and the pointer will expire.",
        step="look at the scheduler's job and at the log of the function poll.",
        settle=_MEASURED,
    ),
    Topic.AUDIT_BEHIND: Words(
        tone=Tone.WARNING,
        one="the audit graph is behind",
        many="the audit graph is behind",
        meaning="Deployments go on; nothing is lost, and it catches up by itself.",
        step="see whether Neo4j answers.",
        settle=_MEASURED,
    ),
    Topic.PAUSED: Words(
        tone=Tone.ERROR,
        one="paused",
        many="paused",
        meaning="Nothing is deployed until an operator has acted; what is live is served on.",
        step="GET /api/dr-state says what to do next.",
    ),
    Topic.POINTER_EXPIRY: Words(
        tone=Tone.ERROR,
        one="the pointer is not renewed",
        many="the pointer is not renewed",
        meaning="Pullers go on serving what they have; once it has expired they install nothing new.",
        step="see why no poll finishes; each one signs the pointer anew.",
        settle=_MEASURED,
    ),
    Topic.DRIFT: Words(
        tone=Tone.WARNING,
        one="installed files were changed at 1 volume",
        many="installed files were changed {n} times",
        meaning="Somebody or something beside skill-sync wrote to what it installed.",
        step="look at the event named here; the edits are kept under drift in the backup folder.",
        once=True,
    ),
    Topic.CREDENTIAL_DUE: Words(
        tone=Tone.WARNING,
        one="1 credential is due",
        many="{n} credentials are due",
        meaning="What has lapsed stops deployments, or the audit, without another word.",
        step="rotate it: infra/runbooks/token-rotation.md.",
    ),
    Topic.CREDENTIAL_POLICY: Words(
        tone=Tone.WARNING,
        one="the GitHub token never expires",
        many="the GitHub token never expires",
        meaning="A token that is lost works for whoever finds it until somebody revokes it.",
        step="make one that expires within 90 days, and rotate it.",
    ),
    Topic.ROTATION_OPEN: Words(
        tone=Tone.WARNING,
        one="1 rotation is not at its end",
        many="{n} rotations are not at their end",
        meaning="Two values are accepted for longer than a rotation takes.",
        step="rotate status shows what is left: verify and finish, abort, or take the old value away.",
    ),
}
