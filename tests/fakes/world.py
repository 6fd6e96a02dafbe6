"""A whole cloud side in memory: the real use cases over fakes, with words for what tests do to it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeVar

from shared.adapters.signer import Ed25519Signer
from shared.core.archive import unpack
from shared.core.names import CURRENT, SUMMARY, parse_deployment, trust_name
from shared.core.pointer import lineage
from shared.core.rules import Terms, ValidationPolicy
from shared.core.summary import Summary, parse_summary
from shared.core.trust import sign_trust
from shared.core.verify import UnverifiedPointer, read_pointer
from shared.errors import ConfigError
from shared.model import CommitSha, DeploymentId, Manifest, Pointer, Push, SkillId, Trigger, Trust
from shared.service.afterwards import tell_after
from shared.service.alerting import Watch, tell_all, tell_of_poller
from shared.service.context import Context, Deadline
from shared.service.objects import read_manifest, read_object
from shared.service.preview import Preview, preview
from shared.service.rollback import roll_back
from shared.service.serving import Sender, accept_report
from shared.service.survey import Survey, survey
from shared.service.sync import Command, Outcome, synchronise
from shared.service.trust import walk
from tests.fakes.clock import FakeClock
from tests.fakes.in_process_judge import InProcessJudge
from tests.fakes.memory_source import Files, MemoryRepository, MemorySource
from tests.fakes.memory_store import MemoryStore
from tests.fakes.trusted import OPERATOR, anchor, first_version, following

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.ports import Alert, Audit, Hooks, Judge, Quota, Source, Store, Together

T = TypeVar("T")

SIGNER = Ed25519Signer(base64.b64encode(bytes(range(32))).decode())
REPO = "octo/skills"
MAIN = "refs/heads/main"
TRUST = first_version(SIGNER, repo=REPO, ref=MAIN)
ANCHOR = anchor(TRUST)


def in_order(calls: Sequence[Callable[[], T]]) -> list[T]:
    return [call() for call in calls]


def skill(name: str, text: str = "Text.", *, version: str | None = "1.0.0", **resources: str) -> Files:
    """The files of one valid skill at the repository's root; resources are `name="text"`, published as `name.txt`."""
    stated = f"version: {version}\n" if version else ""
    files = {f"{name}/SKILL.md": f"---\nname: {name}\ndescription: Does {name}.\n{stated}---\n{text}\n".encode()}
    return files | {f"{name}/{key}.txt": value.encode() for key, value in resources.items()}


def bad_skill(name: str) -> Files:
    """A skill that the rules reject."""
    return {f"{name}/SKILL.md": f"# {name} without frontmatter\n".encode()}


class World:
    """Store, source, clock and the use cases over them."""

    def __init__(
        self,
        *,
        policy: ValidationPolicy = ValidationPolicy.PER_SKILL,
        store: Store | None = None,
        repository: MemoryRepository | None = None,
    ) -> None:
        self.store: Store = MemoryStore() if store is None else store
        self.repository = repository or MemoryRepository()
        self.source: Source = MemorySource(self.repository)
        self.clock = FakeClock()
        self.terms = Terms(validation=policy)
        self.root = ""
        self.together: Together = in_order
        self.judge: Judge = InProcessJudge()
        self.quota: Quota | None = None
        self.hooks: Hooks | None = None
        self.nudges: list[bytes] = []
        self.audit: Audit | None = None
        self.alert: Alert | None = None
        self.trust: Trust = TRUST
        self.trouble = ""
        self.signer = SIGNER

    @property
    def context(self) -> Context:
        if self.signer.key_id not in self.trust.signer_keys:
            raise ConfigError("SIGNING_KEY_UNTRUSTED", "as the wiring has it")
        return Context(
            store=self.store,
            source=self.source,
            signer=self.signer,
            clock=self.clock,
            together=self.together,
            judge=self.judge,
            trust=self.trust,
            terms=self.terms,
            root=self.root,
            poll_seconds=300.0,
            quota=self.quota,
            hooks=self.hooks,
            nudge=self.nudges.append,
            audit=self.audit,
            alert=self.alert,
        )

    def push(self, *parts: Files) -> Push:
        """Commit exactly these files and return the push that GitHub would announce."""
        before = self.repository.head
        after = self.repository.commit({path: data for part in parts for path, data in part.items()})
        return a_push(before or CommitSha("0" * 40), after)

    def webhook(self, push: Push, *, seconds: float = 8.0, hook: int | None = None) -> Outcome:
        return self._sync(Command(trigger=Trigger.WEBHOOK, push=push, hook=hook), seconds)

    def poll(self, *, seconds: float = 300.0) -> Outcome:
        self.look_at_trust()
        return self._sync(Command(trigger=Trigger.POLLING), seconds)

    def release(self, *ids: str) -> Outcome:
        return self._sync(Command(trigger=Trigger.MANUAL, release=tuple(SkillId(key) for key in ids)), 25.0)

    def manual(self) -> Outcome:
        """An operator syncs."""
        return self._sync(Command(trigger=Trigger.MANUAL), 25.0)

    def preview(self) -> Preview:
        """An operator asks what a sync would do."""
        return preview(self.context, Deadline(self.clock, 25.0))

    def look_at_trust(self) -> None:
        """Walk to the newest version, as the wiring does at each poll."""
        self.trust, self.trouble = walk(self.store, self.trust)

    def operate(self, *operators: Ed25519Signer, **changes: object) -> bytes:
        """Sign the next version of the trust and upload it, as the operator's tool does; returns what was uploaded."""
        newest = self._newest_trust()
        envelope = sign_trust(following(newest, **changes), *(operators or (OPERATOR,)))
        self.store.put(trust_name(newest.version + 1), envelope, if_generation=0)
        return envelope

    def bump(self, **changes: object) -> None:
        """Open a new epoch."""
        newest = self._newest_trust()
        self.operate(epoch=newest.epoch + 1, **changes)

    def _newest_trust(self) -> Trust:
        newest, version = self.trust, 0
        while newest.version != version:
            version = newest.version
            newest, _ = walk(self.store, newest)
        return newest

    def survey(self) -> Survey:
        """What the functions find now."""
        self.look_at_trust()
        now = self.clock.now()
        return survey(self.store, self.trust, self.together, now, trouble=self.trouble, audit=self.audit)

    def roll_back(self, to: str) -> Outcome:
        context, deadline = self.context, Deadline(self.clock, 25.0)
        return self._told(lambda: roll_back(context, DeploymentId(to), deadline), Trigger.ROLLBACK, deadline)

    def fails(self, deployment: str, *lost: str, puller: str = "edge") -> None:
        """That deployment fails its health check at a puller, which reports it."""
        digests = dict(lineage(self.pointer))
        failed = {"deployment": deployment, "manifest": digests[parse_deployment(deployment)[1]], "skills": list(lost)}
        self.report(puller, outcome="held", reasons=["gateway_unhealthy"], failed=failed)

    def report(self, puller: str = "edge", **members: object) -> None:
        """A puller reports."""
        accept_report(
            self.store,
            self.trust,
            Sender(puller=puller, key="0" * 8),
            {"outcome": "current", **members},
            self.clock.now(),
        )
        if self.alert is not None:
            tell_of_poller(
                Watch(
                    store=self.store,
                    trust=self.trust,
                    clock=self.clock,
                    together=self.together,
                    alert=self.alert,
                    poll_seconds=300.0,
                )
            )

    def deploy(self, *parts: Files) -> Outcome:
        """Push and deliver its webhook."""
        return self.webhook(self.push(*parts))

    @property
    def pointer(self) -> Pointer:
        stored = self.store.get(CURRENT)
        assert stored is not None, "nothing was deployed"
        return read_pointer(UnverifiedPointer(stored.data), self.trust)

    @property
    def manifest(self) -> Manifest:
        return read_manifest(self.store, self.pointer.manifest.sha256)

    @property
    def summary(self) -> Summary:
        stored = self.store.get(SUMMARY)
        return Summary() if stored is None else parse_summary(stored.data)

    def live(self) -> dict[str, dict[str, bytes]]:
        """What a volume would hold: skill to path to content, read through archives."""
        return {
            key: {file.path: file.data for file in unpack(read_object(self.store, entry.archive))}
            for key, entry in self.manifest.skills.items()
        }

    def texts(self) -> dict[str, str]:
        """The last line of each live SKILL.md, which `skill` sets."""
        return {key: files["SKILL.md"].decode().splitlines()[-1] for key, files in self.live().items()}

    def withheld(self) -> dict[str, str]:
        """Withheld skills with the reason."""
        return {key: item.reason.value for key, item in self.manifest.withheld.items()}

    def events(self) -> list[str]:
        """The kinds of all events, in the order of their names."""
        names = [entry.name for entry in self.store.list("events/")]
        kinds = [name.rsplit("/", 1)[-1].split("-", 1)[1].removesuffix(".json") for name in names]
        return [kind for kind in kinds if not kind.startswith("late-")]  # these only announce others

    def records(self) -> list[str]:
        return [
            entry.name.removeprefix("deployments/").removesuffix(".json") for entry in self.store.list("deployments/")
        ]

    def _sync(self, command: Command, seconds: float) -> Outcome:
        context, deadline = self.context, Deadline(self.clock, seconds)
        return self._told(lambda: synchronise(context, command, deadline), command.trigger, deadline)

    def _told(self, run: Callable[[], Outcome], trigger: Trigger, deadline: Deadline) -> Outcome:
        return tell_after(run, trigger, deadline, lambda seconds: tell_all(self.context, trigger, seconds))


def a_push(before: CommitSha, after: CommitSha, *, forced: bool = False) -> Push:
    """A push webhook's content."""
    return Push(
        repo=REPO,
        ref=MAIN,
        before=before,
        after=after,
        forced=forced,
        deleted=False,
        default_branch="main",
        changed_skill_files=1,
    )
