"""No file takes the functions down: what it does, it does to a child process, and that with an end in time and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from shared.adapters.judge_process import JudgeProcess
from shared.config import loader_environment
from shared.core.case import Case
from shared.core.git_objects import blob_id
from shared.core.judge import judge_case
from shared.core.rules import Terms
from shared.core.selection import select_files
from shared.errors import UnavailableError
from tests.core.samples import GOOD, an_entry, at_head
from tests.fakes.world import World, skill
from tests.hostile.cases import cases as hostile_cases
from tests.hostile.gate import at_head as hostile_at_head
from tests.stage import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

WRONG = "tests.adapters.judge_gone_wrong"


def case_of(key: str, data: bytes = GOOD) -> Case:
    skill = at_head(an_entry("SKILL.md", data), key=key)
    return Case(skill=skill, contents={blob_id(data): data}, live=None, terms=Terms())


@pytest.fixture
def wrong() -> Iterator[JudgeProcess]:
    judge = JudgeProcess(loader_environment(), module=WRONG)
    yield judge
    judge.close()


@pytest.fixture(scope="module")
def real() -> Iterator[JudgeProcess]:
    judge = JudgeProcess(loader_environment())
    yield judge
    judge.close()


OLDER_ENUM = """
import enum, pickle, pickletools
# As in Python 3.11.2.
enum.Enum.__reduce_ex__ = lambda self, protocol: (getattr, (self.__class__, self._name_))
from shared.model import Severity
assert b"getattr" in pickle.dumps(Severity.ERROR)
from shared.adapters import judge_child
from shared.adapters.judge_process import read_answer
from shared.core.case import Verdict
from shared.model import Finding
said = Verdict(findings=(Finding(code="X", severity=Severity.ERROR, path="a", line=1, hint="h"),), candidate=None)
assert read_answer(judge_child.written(said)) == said
"""


def test_a_verdict_is_understood_whatever_python_writes_for_a_severity() -> None:
    done = subprocess.run([sys.executable, "-c", OLDER_ENUM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


ENDS = {
    "crash": "ended with signal 11",
    "segfault": "ended with signal 11",
    "spin": "ended with signal 24",
    "spin-in-c": "ended with signal 24",
    "eat": "MemoryError at judge_gone_wrong.py",
    "raise": "ValueError at judge_gone_wrong.py",
    "exit": "ended with status 3",
    "kill": "ended with signal 9",
    "lie": "gave no answer",
    "half": "ended with status 0",
    "too-much": "ended with",
}


@pytest.mark.parametrize(("doing", "how"), ENDS.items(), ids=ENDS)
def test_a_skill_that_ends_the_checks_is_kept_out_and_no_other_one(
    wrong: JudgeProcess, capfd: pytest.CaptureFixture[str], doing: str, how: str
) -> None:
    before, bad, after = wrong([case_of("before"), case_of(doing), case_of("after")], 60.0)
    assert bad.candidate is None
    assert [found.code for found in bad.findings] == ["UNCHECKABLE"]
    assert how in bad.findings[0].hint
    assert before == judge_case(case_of("before"))
    assert after == judge_case(case_of("after"))
    told = capfd.readouterr()
    assert "taken over" not in told.err + told.out
    assert "the text of a secret" not in told.err + told.out + str(bad)
    assert '"message": "The checks of a skill came to a bad end"' in told.out


def test_a_push_that_ends_the_checks_keeps_its_last_good_version_and_holds_up_no_other_skill(
    wrong: JudgeProcess,
) -> None:
    world = World()
    world.deploy(skill("crash", "Good."), skill("other", "One."))
    world.judge = wrong
    outcome = world.webhook(world.push(skill("crash", "Evil."), skill("other", "Two.")), seconds=60.0)
    assert [key for key, _ in outcome.published] == ["other"]
    assert [(held.id, [found.code for found in held.findings]) for held in outcome.withheld] == [
        ("crash", ["UNCHECKABLE"])
    ]
    assert b"Good." in world.live()["crash"]["SKILL.md"]
    assert b"Two." in world.live()["other"]["SKILL.md"]


def test_a_child_that_was_killed_once_by_chance_keeps_no_skill_out(wrong: JudgeProcess) -> None:
    wrong([case_of("first")], 60.0)
    child = wrong._child
    assert child is not None
    os.kill(child.process.pid, signal.SIGSTOP)  # it cannot answer before it is killed
    threading.Timer(0.2, os.kill, (child.process.pid, signal.SIGKILL)).start()
    assert wrong([case_of("second")], 60.0) == [judge_case(case_of("second"))]


def test_checks_that_wait_are_no_verdict_but_too_slow(wrong: JudgeProcess) -> None:
    started = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        wrong([case_of("sleep")], 1.0)
    assert caught.value.code == "JUDGE_TOO_SLOW"
    assert time.monotonic() - started < 10
    assert wrong([case_of("next")], 60.0) == [judge_case(case_of("next"))]


def test_a_process_that_does_not_start_says_nothing_about_a_skill() -> None:
    for module in ("tests.adapters.no_such_module", "shared.errors"):
        judge = JudgeProcess(loader_environment(), module=module)
        with pytest.raises(UnavailableError) as caught:
            judge([case_of("a")], 60.0)
        assert caught.value.code == "JUDGE_UNAVAILABLE"
        judge.close()


def test_no_process_to_be_had_is_said_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    judge = JudgeProcess(loader_environment())
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    judge.prepare()
    with pytest.raises(UnavailableError, match="JUDGE_UNAVAILABLE"):
        judge([case_of("a")], 60.0)


def test_many_threads_take_turns(real: JudgeProcess) -> None:
    answers: dict[str, object] = {}

    def ask(key: str) -> None:
        answers[key] = real([case_of(key)] * 5, 60.0)

    threads = [threading.Thread(target=ask, args=(f"s{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {f"s{number}": [judge_case(case_of(f"s{number}"))] * 5 for number in range(8)}


def test_the_child_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGNING_KEY", "made up")
    judge = JudgeProcess(loader_environment())
    judge([case_of("a")], 60.0)
    assert judge._child is not None
    with open(f"/proc/{judge._child.process.pid}/environ", "rb") as stream:  # noqa: PTH123 - a file of the kernel's
        assert {line.partition(b"=")[0] for line in stream.read().split(b"\0")} & {b"SIGNING_KEY", b"HOME"} == set()
    judge.close()


def test_the_child_ends_with_its_parent() -> None:
    judge = JudgeProcess(loader_environment())
    judge([case_of("a")], 60.0)
    child = judge._child
    assert child is not None
    child.connection.close()  # as the system does for a parent that was killed
    assert child.process.wait(10) == 0
    judge.close()


def test_a_forked_process_starts_its_own_child(real: JudgeProcess) -> None:
    real([case_of("a")], 60.0)
    theirs = real._child
    assert theirs is not None
    theirs.owner = -1  # as it stands in a process that was forked off the one that started it
    assert real([case_of("b")], 60.0) == [judge_case(case_of("b"))]
    assert real._child is not None
    assert real._child.process.pid != theirs.process.pid
    assert theirs.process.poll() is None
    theirs.connection.close()
    assert theirs.process.wait(10) == 0


def test_every_hostile_case_has_the_verdict_in_the_child_that_it_has_without(real: JudgeProcess) -> None:
    cases: list[Case] = []
    for hostile in hostile_cases():
        folder = hostile.folder
        skill = hostile_at_head(folder)
        chosen = {entry.id for entry in select_files(skill, Terms()).entries}
        contents = {key: data for data in folder.files.values() if (key := blob_id(data)) in chosen}
        if contents:
            cases.append(Case(skill=skill, contents=contents, live=None, terms=Terms()))
    assert len(cases) > 100
    assert real(cases, 110.0) == [judge_case(case) for case in cases]
