"""When the second source takes over, for how long, and whose error is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shared.adapters.fallback import FallbackSource
from shared.adapters.github_faults import ForbiddenError
from shared.errors import RejectedError, SkillSyncError, UnavailableError
from shared.model import CommitSha, Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.model import BlobId, TreeEntry

SHA = CommitSha("5" * 40)
LIMITED = UnavailableError("SOURCE_RATE_LIMITED", "later", retry_after_seconds=77)


class Scripted:
    """A source that answers its name, or raises what it is told to, and counts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: SkillSyncError | None = None
        self.calls: list[str] = []

    def _do(self, call: str, answer: Any) -> Any:  # noqa: ANN401 - whatever the port's method returns
        self.calls.append(call)
        if self.error is not None:
            raise self.error
        return answer

    def head(self, _: CommitSha | None) -> CommitSha:
        return CommitSha(self._do("head", self.name))

    def listing(self, _: CommitSha) -> list[TreeEntry]:
        return list(self._do("listing", []))

    def blobs(self, _: CommitSha, __: Sequence[TreeEntry]) -> Mapping[BlobId, bytes]:
        return dict(self._do("blobs", {}))

    def compare(self, _: CommitSha, __: CommitSha) -> Standing:
        return Standing(self._do("compare", Standing.AHEAD))


class Case:
    """Two sources, and the one over them."""

    def __init__(self, error: SkillSyncError | None = None, *, left: float = 30.0) -> None:
        self.first, self.second = Scripted("first"), Scripted("second")
        self.first.error = error
        self.opened = 0
        self.source = FallbackSource(self.first, self._open, seconds=lambda: left)

    def _open(self) -> Scripted:
        self.opened += 1
        return self.second


CALLS: list[Callable[[FallbackSource], object]] = [
    lambda source: source.head(None),
    lambda source: source.listing(SHA),
    lambda source: source.blobs(SHA, []),
    lambda source: source.compare(SHA, SHA),
]
PASSING = [
    LIMITED,
    UnavailableError("SOURCE_UNAVAILABLE", "down"),
    UnavailableError("SOURCE_CORRUPT", "wrong"),
    ForbiddenError("SOURCE_DENIED", "403"),
    RejectedError("SOURCE_TOO_LARGE", "large"),
]
FINAL = [
    UnavailableError("SOURCE_TOO_SLOW", "late"),
    RejectedError("SOURCE_DENIED", "401"),
    RejectedError("SOURCE_NOT_FOUND", "none"),
    RejectedError("SOURCE_MOVED", "moved"),
    RejectedError("REPOSITORY_EMPTY", "empty"),
    RejectedError("BRANCH_NOT_FOUND", "no branch"),
    RejectedError("SOURCE_UNSUPPORTED", "sha-256"),
]


def test_while_the_first_answers_the_second_is_not_even_opened() -> None:
    case = Case()
    assert case.source.head(None) == "first"
    for call in CALLS:
        call(case.source)
    assert (case.opened, case.second.calls) == (0, [])


@pytest.mark.parametrize("error", PASSING, ids=lambda error: f"{type(error).__name__}-{error.code}")
@pytest.mark.parametrize("call", CALLS)
def test_what_may_be_the_firsts_own_trouble_is_asked_of_the_second(
    error: SkillSyncError, call: Callable[[FallbackSource], object]
) -> None:
    case = Case(error)
    call(case.source)
    assert case.second.calls == case.first.calls


@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.code)
@pytest.mark.parametrize("call", CALLS)
def test_what_a_person_or_the_time_decides_is_final(
    error: SkillSyncError, call: Callable[[FallbackSource], object]
) -> None:
    case = Case(error)
    with pytest.raises(type(error)) as caught:
        call(case.source)
    assert caught.value is error
    assert case.opened == 0


def test_one_sync_stays_with_the_second_source_and_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    case = Case(LIMITED)
    assert case.source.head(None) == "second"
    case.first.error = None
    for call in CALLS:
        call(case.source)
    assert case.first.calls == ["head"]
    assert case.opened == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    message = "GitHub's REST API refuses; going on over the git protocol"
    assert lines == [{"severity": "WARNING", "message": message, "code": "SOURCE_RATE_LIMITED"}]


@pytest.mark.parametrize("code", ["SOURCE_UNAVAILABLE", "SOURCE_TOO_SLOW", "SOURCE_CORRUPT"])
def test_when_both_are_unavailable_the_firsts_error_is_told(code: str) -> None:
    case = Case(LIMITED)
    case.second.error = UnavailableError(code, "also")
    for call in CALLS:
        with pytest.raises(UnavailableError) as caught:
            call(case.source)
        assert caught.value is LIMITED
        assert caught.value.__suppress_context__


def test_what_the_second_rejects_is_told() -> None:
    case = Case(LIMITED)
    case.second.error = RejectedError("SOURCE_DENIED", "no")
    with pytest.raises(RejectedError, match="SOURCE_DENIED"):
        case.source.head(None)


def test_without_time_left_the_second_is_not_begun() -> None:
    case = Case(LIMITED, left=0.0)
    with pytest.raises(UnavailableError) as caught:
        case.source.head(None)
    assert caught.value is LIMITED
    assert case.opened == 0
