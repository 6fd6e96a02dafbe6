"""What must hold in every state that a schedule reaches, and at its end after one clean poll."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from shared.core.archive import unpack
from shared.core.discover import discover
from shared.core.manifest import parse_manifest
from shared.core.names import SUMMARY, object_name, parse_timestamp, record_name
from shared.core.pointer import lineage
from shared.core.summary import parse_summary
from shared.core.verify import UnverifiedPointer, floor_of, read_pointer, verify_pointer
from shared.errors import DeadlineError, SkillSyncError, UnavailableError
from shared.model import Action, Digest, Kind, Manifest, Pointer, Reason, SkillId, TreeId
from tests.fakes.world import TRUST
from tests.service.stepping_words import Ended

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.model import CommitSha, DeploymentId, LiveSkill
    from tests.service.stepping import Process
    from tests.service.stepping_state import State
    from tests.service.stepping_world import World

Content = tuple[tuple[tuple[SkillId, TreeId], ...], tuple[tuple[SkillId, TreeId | None, Reason], ...]]
"""Live skills with their trees, and withheld ones with tree and reason."""


@cache
def pointer_of(envelope: bytes) -> Pointer:
    return read_pointer(UnverifiedPointer(envelope), TRUST)


class Rules:
    """The rules over one world.

    Args:
        world: Tells commits and contents.
        may_raise: Codes of errors with which a process may rightly refuse.
        faulty: Whether outside systems fail in this scenario, so that processes may end with UnavailableError.
    """

    def __init__(self, world: World, *, may_raise: frozenset[str] = frozenset(), faulty: bool = False) -> None:
        self._world = world
        self._may_raise = may_raise
        self._faulty = faulty
        self._heads: dict[CommitSha, dict[SkillId, TreeId]] = {}
        self._manifests: dict[Digest, Manifest] = {}
        self._trees: dict[TreeId, dict[str, str]] = {}
        self._proven: set[tuple[Digest, TreeId]] = set()

    def after_step(self, before: State, after: State, existing: frozenset[str]) -> None:
        """Check what one step made of the state; `existing` are the immutable objects right after its operation."""
        if len(after.log) > len(before.log):
            self._check_complete(after, existing)
            self._check_move(after)
        if len(after.store) > len(before.store):
            known = set(before.names("deployments/"))
            for name in set(after.names("deployments/")) - known:
                self._check_record(after, name)

    def after_all(self, state: State, processes: tuple[Process, ...]) -> None:
        """Check what the processes said when all of them have ended."""
        claims: Counter[DeploymentId] = Counter()
        for process, ended in zip(processes, state.slots, strict=True):
            assert isinstance(ended, Ended)
            self._check_answer(state, process.name, ended)
            if ended.status is not None and ended.deployment is not None:
                claims[ended.deployment] += 1
        doubled = [deployment for deployment, times in claims.items() if times > 1]
        assert not doubled, f"several processes say that they made {doubled}"

    def at_rest(self, state: State) -> None:
        """Check the state after the last, clean poll."""
        assert state.log, "nothing was deployed"
        pointers = [pointer_of(envelope) for envelope in state.log]
        newest = pointers[-1]
        assert newest.commit == state.heads[-1], "a push is lost: the pointer is not at the head after a clean poll"
        deployed = list({pointer.seq: pointer for pointer in reversed(pointers)}.values())[::-1]
        for pointer in deployed:
            assert state.find(record_name(pointer.deployment)), f"deployment {pointer.deployment} has no record"
        self._check_summary(state, deployed)
        self._check_events(state, deployed)

    def content(self, state: State) -> Content:
        """What is live and what is withheld, without who decided on it when."""
        manifest = self._manifest(pointer_of(state.log[-1]).manifest.sha256)
        return (
            tuple((key, skill.tree) for key, skill in sorted(manifest.skills.items())),
            tuple((key, item.tree, item.reason) for key, item in sorted(manifest.withheld.items())),
        )

    def _check_move(self, state: State) -> None:
        pointer = pointer_of(state.log[-1])
        former = pointer_of(state.log[-2]) if len(state.log) > 1 else None
        _check_succession(former, pointer, state.log[-1])
        _check_forward([pointer_of(envelope).commit for envelope in state.log], state.heads)
        self._check_content(pointer, former)
        if former is not None:
            self._check_rewrite(state, former, pointer)
        for earlier in range(1, pointer.seq):
            assert state.find(f"deployments/1-{earlier}.json"), f"the pointer moved on, 1-{earlier} has no record"

    def _check_complete(self, state: State, existing: frozenset[str]) -> None:
        pointer = pointer_of(state.log[-1])
        for commit in state.heads:
            self._skills_at(commit)  # a version that is kept or returns may be of any of them
        needed = [pointer.manifest.sha256]
        assert object_name(needed[0]) in existing, f"{pointer.deployment} is visible without its manifest"
        needed += [skill.archive for skill in self._manifest(pointer.manifest.sha256).skills.values()]
        missing = [digest for digest in needed if object_name(digest) not in existing]
        assert not missing, f"{pointer.deployment} is visible without its archives {missing}"
        for skill in self._manifest(pointer.manifest.sha256).skills.values():
            self._check_archive(skill)

    def _check_archive(self, skill: LiveSkill) -> None:
        if (skill.archive, skill.tree) not in self._proven:
            held = {file.path: file.blob for file in unpack(self._world.contents[object_name(skill.archive)])}
            assert held == {file.path: file.blob for file in skill.files}, f"{skill.id}: archive and manifest differ"
            assert held == self._trees[skill.tree], f"{skill.id}: archive and repository differ"
            self._proven.add((skill.archive, skill.tree))

    def _check_content(self, pointer: Pointer, former: Pointer | None) -> None:
        manifest, head = self._manifest(pointer.manifest.sha256), self._skills_at(pointer.commit)
        before = None if former is None else self._manifest(former.manifest.sha256)
        for key in head.keys() | manifest.skills.keys() | manifest.withheld.keys():
            held = manifest.withheld.get(key)
            wanted, live = head.get(key), _tree(manifest, key)
            if held is None:
                assert live == wanted, f"{key} is live at {live}, commit {pointer.commit} has {wanted}"
                continue
            assert held.tree == wanted, f"{key} is withheld at {held.tree}, commit {pointer.commit} has {wanted}"
            if before is not None and pointer.action is not Action.ROLLBACK:
                assert live == _tree(before, key), f"{key} is withheld and yet changed"

    def _check_rewrite(self, state: State, former: Pointer, pointer: Pointer) -> None:
        # One without a deployment is told before the pointer moves, so a race may tell it twice, but never not at all.
        rewritten = former.commit not in self._world.repository.ancestors(pointer.commit)
        if pointer.seq == former.seq:
            told = any(event.get("commit") == pointer.commit for event in _events(state, "history-rewritten"))
        else:
            told = pointer.history_rewritten
        assert told or not rewritten, f"{pointer.deployment} moved to a rewritten history, and nothing tells"
        assert rewritten or pointer.seq == former.seq or not told, (
            f"{pointer.deployment} tells of a rewrite that was none"
        )

    def _check_record(self, state: State, name: str) -> None:
        data = state.find(name)
        assert data is not None
        record = pointer_of(data)
        assert name == record_name(record.deployment), f"{name} is about {record.deployment}"
        assert data in state.log, f"{name} holds a pointer that never was live"

    def _check_answer(self, state: State, name: str, ended: Ended) -> None:
        pointers = [pointer_of(envelope) for envelope in state.log]
        newest = pointers[-1]
        if newest.token.startswith(f"{name}#") and newest.issued_at == newest.deployed_at and not ended.killed:
            # Only who finds that others have written since may be unsure.
            claims = ended.deployment == newest.deployment and ended.status is not None
            assert claims, f"{name} {ended}, yet {newest.deployment} is its own and live"
        if ended.error is not None:
            moved = any(pointer.token.startswith(f"{name}#") for pointer in pointers)
            assert self._may_end_with(ended.error, ended.code, moved=moved), f"{name} {ended}, moved={moved}"
        if ended.deployment is None:
            return
        meant = [
            pointer for pointer in pointers if (pointer.deployment, pointer.commit) == (ended.deployment, ended.commit)
        ]
        assert meant, f"{name} says {ended} at {ended.commit}, which never was live"
        if ended.status is None:
            return
        manifest = self._manifest(meant[0].manifest.sha256)
        assert meant[0].status is ended.status, f"{name} {ended}, the pointer says {meant[0].status.value}"
        for key, version in ended.published:
            assert key in manifest.skills, f"{name} says that it published {key}"
            assert manifest.skills[key].version == version, f"{name} says that it published {key} {version}"
        assert not set(ended.removed) & manifest.skills.keys(), f"{name} says that it removed {ended.removed}"

    def _may_end_with(self, error: type[SkillSyncError], code: str, *, moved: bool) -> bool:
        if issubclass(error, DeadlineError):
            return self._faulty or not moved
        return (self._faulty and issubclass(error, UnavailableError)) or (code in self._may_raise and not moved)

    def _check_summary(self, state: State, deployed: list[Pointer]) -> None:
        summary = parse_summary(state.find(SUMMARY) or b"{}")
        said = [(line["id"], line["status"], line["skills"], line["timestamp"]) for line in summary.deployments]
        wanted = [(it.deployment, it.status.value, it.manifest.skills, it.deployed_at) for it in deployed]
        assert said == wanted, f"the summary lists {said}, live were {wanted}"
        counted = sum(int(str(day.get(key, 0))) for day in summary.days.values() for key in ("deployments", "rejected"))
        assert counted == len(deployed), f"the summary counts {counted} deployments of {len(deployed)}"

    def _check_events(self, state: State, deployed: list[Pointer]) -> None:
        found = Counter(
            (str(event["deployment"]), str(event["kind"])) for event in _events(state) if "deployment" in event
        )
        former: Pointer | None = None
        wanted: Counter[tuple[str, str]] = Counter()
        for pointer in deployed:
            wanted.update((pointer.deployment, kind) for kind in self._kinds(pointer, former))
            former = pointer
        assert found == wanted, f"events {dict(found)}, expected {dict(wanted)}"

    def _kinds(self, pointer: Pointer, former: Pointer | None) -> Iterator[str]:
        before = {} if former is None else self._manifest(former.manifest.sha256).withheld
        now = self._manifest(pointer.manifest.sha256).withheld
        if any(
            item.reason is Reason.REJECTED and (key not in before or before[key].tree != item.tree)
            for key, item in now.items()
        ):
            yield "rejected"
        if pointer.history_rewritten:
            yield "history-rewritten"
        if pointer.action is Action.ROLLBACK:
            yield "rolled-back"

    def _manifest(self, digest: Digest) -> Manifest:
        if digest not in self._manifests:
            self._manifests[digest] = parse_manifest(self._world.contents[object_name(digest)])
        return self._manifests[digest]

    def _skills_at(self, commit: CommitSha) -> dict[SkillId, TreeId]:
        if commit not in self._heads:
            found = discover(self._world.repository.listing(commit), "")
            self._heads[commit] = {key: skill.tree for key, skill in found.items()}
            for skill in found.values():
                self._trees[skill.tree] = {it.path: it.id for it in skill.entries if it.kind is Kind.FILE}
        return self._heads[commit]


def _check_succession(former: Pointer | None, pointer: Pointer, envelope: bytes) -> None:
    # What a puller proves before it follows: the sequence, the lineage, and a time of issue that is not behind its own.
    if former is None:
        assert pointer.seq == 1, f"the first deployment is {pointer.deployment}"
        return
    if pointer.seq == former.seq:
        renewed = replace(
            former,
            commit=pointer.commit,
            issued_at=pointer.issued_at,
            expires_at=pointer.expires_at,
            head_checked_at=pointer.head_checked_at,
        )
        assert pointer.manifest == former.manifest, (
            f"another {former.deployment} replaced it: the sequence does not rise"
        )
        assert pointer == renewed, f"a refresh of {former.deployment} changed more than it may"
    else:
        assert pointer.seq == former.seq + 1, f"{pointer.deployment} follows {former.deployment}"
        assert pointer.history == lineage(former), (
            f"{pointer.deployment} tells another history than {former.deployment}"
        )
        assert pointer.previous_commit == former.commit, f"{pointer.deployment} names another previous commit"
    assert pointer.issued_at > former.issued_at, f"issued at {pointer.issued_at}, not behind {former.issued_at}"
    now = parse_timestamp(pointer.issued_at)
    assert verify_pointer(UnverifiedPointer(envelope), TRUST, floor_of(former), now) == pointer


def _check_forward(commits: list[CommitSha], heads: tuple[CommitSha, ...]) -> None:
    # The source's heads are the order of time; what was forced back stands in it again, later.
    position = 0
    for commit in commits:
        while position < len(heads) and heads[position] != commit:
            position += 1
        assert position < len(heads), f"the pointer went back to commit {int(commit, 16)}"


def _tree(manifest: Manifest, key: SkillId) -> TreeId | None:
    return manifest.skills[key].tree if key in manifest.skills else None


def _events(state: State, kind: str = "") -> Iterator[dict[str, object]]:
    for name, data, _ in state.store:
        if name.startswith("events/"):
            event = json.loads(data)
            if kind in {"", event["kind"]}:
                yield event
