"""The live manifest through a line of pushes, as the pure decisions see it, for tests of these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from shared.core.case import Candidate, Verdict
from shared.core.decide import Decision, Occasion, decide, roll_back, to_judge
from shared.core.rules import ValidationPolicy, finding
from shared.core.unhealthy import Failure, undo
from shared.model import Manifest, SkillAtHead, SkillId, TreeId
from tests.core.samples import NO_MANIFEST, a_live_skill, at_head, commit, git_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PER_SKILL, TOGETHER = ValidationPolicy.PER_SKILL, ValidationPolicy.ALL_OR_NOTHING
BAD = finding("FM_MISSING", "x/SKILL.md", 1)
WARN = finding("VERSION_DERIVED", "x/SKILL.md", 1)


def tree(number: int) -> TreeId:
    return TreeId(git_id(number))


def head_of(**trees: int) -> dict[SkillId, SkillAtHead]:
    return {SkillId(key): at_head(key=key, tree=tree(number)) for key, number in trees.items()}


def verdict(key: str, number: int, *, bad: bool, warn: bool = False) -> Verdict:
    if bad:
        return Verdict(findings=(WARN, BAD), candidate=None)
    findings = (WARN,) if warn else ()
    return Verdict(findings=findings, candidate=Candidate(skill=a_live_skill(key, number), archive=b"%d" % number))


@dataclass
class Line:
    """The live manifest through a line of pushes. In `bad` are the trees that the rules reject."""

    manifest: Manifest = NO_MANIFEST
    policy: ValidationPolicy = PER_SKILL
    bad: set[int] = field(default_factory=set)
    pushes: int = 0
    judged: list[str] = field(default_factory=list)
    decision: Decision = field(default_factory=lambda: Decision(manifest=NO_MANIFEST))

    def push(self, **trees: int) -> Line:
        """A new head with these skills, name to tree."""
        self.pushes += 1
        return self.see(trees, new_head=True)

    def see(
        self,
        trees: Mapping[str, int],
        *,
        new_head: bool = False,
        release: Mapping[str, int | None] | None = None,
        rejudge: bool = False,
        rules: str = "r1",
    ) -> Line:
        found = head_of(**trees)
        occasion = Occasion(
            commit=commit(self.pushes),
            new_head=new_head,
            release={SkillId(key): None if at is None else tree(at) for key, at in (release or {}).items()},
            rejudge=rejudge,
            policy=self.policy,
            rules=rules,
            root="",
        )
        wanted = to_judge(self.manifest, found, occasion)
        verdicts = {key: verdict(key, trees[key], bad=trees[key] in self.bad) for key in wanted}
        self.judged = list(wanted)
        self.decision = decide(self.manifest, found, verdicts, occasion)
        self.manifest = self.decision.manifest
        return self

    def roll_back(self, target: Manifest) -> Line:
        self.decision = roll_back(self.manifest, target, commit(self.pushes))
        self.manifest = self.decision.manifest
        return self

    def fail(self, past: Sequence[Manifest], *numbers: int) -> Line:
        """The deployments of these numbers failed their health check; `past` are all manifests so far, the live one last."""
        failures = [failure_of(past, number) for number in numbers if number > 0]
        self.decision = undo(self.manifest, failures, commit(self.pushes), frozenset())
        self.manifest = self.decision.manifest
        return self

    @property
    def live(self) -> dict[str, int]:
        return {key: int(skill.tree, 16) for key, skill in self.manifest.skills.items()}

    @property
    def held(self) -> dict[str, tuple[int | None, str]]:
        return {
            key: (None if item.tree is None else int(item.tree, 16), item.reason.value)
            for key, item in self.manifest.withheld.items()
        }


def failure_of(past: Sequence[Manifest], number: int) -> Failure:
    return Failure(before=past[number - 1], failed=past[number], since=past[number + 1 :])


def numbered(count: int, **changes: int) -> dict[str, int]:
    return {f"s{number}": number + 1 for number in range(count)} | changes


HEADS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4), max_size=8)
STEPS = st.lists(
    st.tuples(HEADS, st.sampled_from(["push", "push", "rejudge", "roll_back", "release", "fail"])),
    min_size=1,
    max_size=6,
)


def walk(line: Line, steps: list[tuple[dict[str, int], str]]) -> tuple[dict[str, int], list[Manifest]]:
    """Go through the steps, checking after each; return the last head and all manifests."""
    head: dict[str, int] = {}
    past = [line.manifest]
    for trees, what in steps:
        former = line.manifest
        if what == "push":
            head = trees
            line.push(**head)
        elif what == "roll_back":
            line.roll_back(past[len(trees) % len(past)])
        elif what == "fail":
            line.fail(past, len(trees) % len(past))
        elif what == "rejudge":
            line.bad = set(trees.values())
            line.see(head, rejudge=True, rules=f"r{len(past)}")
        else:
            held = {key: None if item.tree is None else int(item.tree, 16) for key, item in former.withheld.items()}
            line.see(head, release={key: held[key] for key in trees if key in held})
        check_step(line, former, head, past)
        past.append(line.manifest)
    return head, past


def check_step(line: Line, former: Manifest, head: dict[str, int], past: list[Manifest]) -> None:
    for key, skill in line.manifest.skills.items():
        known = {one.skills[key].tree for one in [*past, former] if key in one.skills}
        assert skill.tree in known | {tree(head[key])} if key in head else skill.tree in known
    for key in head.keys() | line.live.keys():
        at_head_now = head.get(key)
        if line.live.get(key) != at_head_now:
            assert line.held[key][0] == at_head_now, (
                "what is live differs from the head only where the head is withheld"
            )
    for key, item in line.manifest.withheld.items():
        assert (None if item.tree is None else int(item.tree, 16)) == head.get(key), (
            "only the head's own version is withheld"
        )
