"""How fast the gate is, what the worst hostile skill costs it, and how many secrets it stops: one core, no network."""

from __future__ import annotations

import random
import time
import tracemalloc
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.frontmatter import read_frontmatter
from shared.core.judge import judge
from shared.core.rules import Terms
from shared.core.secrets_gate import find_secrets
from shared.core.selection import select_files
from tests.bench.targets import Verdict
from tests.core.made_secrets import PLACEHOLDERS, SECRETS, made
from tests.hostile.cases import cases
from tests.hostile.gate import Folder, at_head, judged

if TYPE_CHECKING:
    from collections.abc import Iterator

SKILLS = 4000
LEAST_SKILLS_A_SECOND, LEAST_MB_A_SECOND = 10_000, 15.0
MOST_MS, MOST_MB = 50.0, 50.0
LEAST_KINDS_STOPPED = 60 / 66
_TEXT = """skill agent run test file branch review deploy check value list token config service error result when then use
write read command output the a of to in and for with is that this one step first next then after before each every only"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything about the gate. `worst_name` is the hostile skill that took longest; its rows exclude making it up."""

    structure_a_second: float
    megabytes_a_second: float
    worst_ms: float
    worst_name: str
    worst_mb: float
    kinds_stopped: int
    kinds: int
    placeholders_stopped: int
    placeholders: int


def measure(skills: int = SKILLS) -> Measured:
    """Measure the gate on generated skills shaped like real ones, and on every hostile one."""
    folders = list(_made_up(skills))
    heads = [(at_head(folder), folder) for folder in folders]
    started = time.perf_counter()
    for skill, folder in heads:
        select_files(skill, Terms())
        read_frontmatter(folder.files["SKILL.md"])
    structure = time.perf_counter() - started
    pairs = [(skill, {entry.id: folder.files[entry.path] for entry in skill.entries}) for skill, folder in heads]
    total = sum(len(data) for folder in folders for data in folder.files.values())
    started = time.perf_counter()
    for skill, contents in pairs:
        judge(skill, contents, None, Terms())  # type: ignore[arg-type] # ids are plain texts in a listing
    whole = time.perf_counter() - started
    worst_ms, worst_mb, worst_name = _worst()
    return Measured(
        structure_a_second=len(folders) / structure,
        megabytes_a_second=total / 1e6 / whole,
        worst_ms=worst_ms,
        worst_name=worst_name,
        worst_mb=worst_mb,
        kinds_stopped=sum(_is_stopped(made(kind)) for kind in SECRETS),
        kinds=len(SECRETS),
        placeholders_stopped=sum(_is_stopped(text) for text in PLACEHOLDERS),
        placeholders=len(PLACEHOLDERS),
    )


def told(found: Measured) -> str:
    """Tell it for people."""
    return (
        f"validation, {SKILLS} made-up skills, one core: frontmatter and structure {found.structure_a_second:,.0f} skills/s; "
        f"the whole gate with secrets and packing {found.megabytes_a_second:.1f} MB/s; "
        f"worst hostile skill {found.worst_ms:.0f} ms ({found.worst_name}), most memory {found.worst_mb:.0f} MB; "
        f"secrets stopped {found.kinds_stopped} of {found.kinds} kinds, "
        f"placeholders stopped {found.placeholders_stopped} of {found.placeholders}"
    )


def verdicts(found: Measured) -> Iterator[Verdict]:
    """Judge the figures."""
    rate, speed = found.structure_a_second, found.megabytes_a_second
    yield Verdict(text=f"frontmatter and structure {rate:,.0f} skills/s (10,000)", met=rate >= LEAST_SKILLS_A_SECOND)
    yield Verdict(text=f"the whole gate {speed:.1f} MB/s (15)", met=speed >= LEAST_MB_A_SECOND)
    yield Verdict(text=f"worst hostile skill {found.worst_ms:.0f} ms (50)", met=found.worst_ms < MOST_MS)
    yield Verdict(text=f"most memory for one {found.worst_mb:.0f} MB (50)", met=found.worst_mb < MOST_MB)
    stopped = found.kinds_stopped / found.kinds >= LEAST_KINDS_STOPPED
    yield Verdict(text=f"kinds of secrets stopped {found.kinds_stopped} of {found.kinds} (10 of 11)", met=stopped)
    none = found.placeholders_stopped == 0
    yield Verdict(text=f"placeholders stopped {found.placeholders_stopped} of {found.placeholders} (0)", met=none)


def _worst() -> tuple[float, float, str]:
    times: list[tuple[float, str]] = []
    memory = 0.0
    for case in cases():
        skill = at_head(case.folder)
        contents = {entry.id: case.folder.files[entry.path] for entry in skill.entries}
        started = time.perf_counter()
        judge(skill, contents, None, Terms())  # type: ignore[arg-type] # as above
        times.append((1000 * (time.perf_counter() - started), case.name))
    tracemalloc.start()
    for case in cases():
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        judged(case.folder)
        memory = max(memory, (tracemalloc.get_traced_memory()[1] - before) / 1e6)
    tracemalloc.stop()
    worst, name = max(times)
    return worst, memory, name


def _is_stopped(text: str) -> bool:
    return any(hit.code == "SECRET_FOUND" for hit in find_secrets(text))


def _made_up(count: int) -> Iterator[Folder]:
    rng = random.Random(7)
    words = _TEXT.split()
    text = "\n".join(" ".join(rng.choices(words, k=12)) + "." for _ in range(4000))
    for number in range(count):
        name = f"skill-{number:04d}"
        head = f"---\nname: {name}\ndescription: Does {name}. Use it when asked.\nversion: 1.0.{number}\n---\n"
        pieces = []
        for size in (6_000, 12_000, 6_000):
            at = rng.randrange(len(text) - size)
            pieces.append(text[at : at + size])
        files = {
            "SKILL.md": (head + pieces[0]).encode(),
            "reference.md": pieces[1].encode(),
            "scripts/run.py": pieces[2].encode(),
        }
        yield Folder(name=name, files=files)
