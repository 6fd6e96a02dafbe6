from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.core.decide import Decision, changes
from shared.core.summary import Summary, line_of, parse_summary, summary_bytes, with_deployments
from shared.core.withheld_note import MAX_CODES, MAX_ID_CHARS, MAX_NOTED, is_known, lines_of, with_withheld
from shared.model import Finding, Reason, Severity
from tests.core.samples import NO_MANIFEST, a_manifest, a_pointer, a_withheld, commit

if TYPE_CHECKING:
    from shared.model import Manifest, Withheld


class History:
    """Deployments one after the other, each noted in the summary."""

    def __init__(self) -> None:
        self.summary = Summary()
        self.manifest: Manifest = NO_MANIFEST
        self.seq = 0

    def deploy(self, *withheld: Withheld) -> None:
        self.seq += 1
        after = a_manifest(withheld=withheld)
        decision = changes(self.manifest, after)
        self.manifest = after
        pointer = replace(a_pointer(1), seq=self.seq)
        self.summary = with_withheld(with_deployments(self.summary, [line_of(pointer, decision)]), pointer, decision)

    @property
    def noted(self) -> dict[object, object]:
        return {line["id"]: line["since"] for line in lines_of(self.summary)}


def guarded(key: str, number: int = 1) -> Withheld:
    return a_withheld(key, None, reason=Reason.DELETION_GUARD, commit=commit(number))


def test_what_is_withheld_is_noted_with_its_codes_and_since_when() -> None:
    history = History()
    findings = tuple(
        Finding(code=f"CODE_{number % 7}", severity=Severity.ERROR, path="x", line=1, hint="secret words")
        for number in range(20)
    )
    history.deploy(a_withheld("a", findings=findings))
    history.deploy(a_withheld("a", findings=findings), a_withheld("b"))
    assert history.noted == {"a": "1-1", "b": "1-2"}
    (line, _) = lines_of(history.summary)
    assert (line["tree"], line["reason"], len(line["codes"])) == ("0" * 12, "rejected", MAX_CODES)  # type: ignore[arg-type]
    assert b"secret words" not in summary_bytes(history.summary)


def test_a_new_version_that_is_withheld_begins_anew_and_a_good_one_ends_it() -> None:
    history = History()
    history.deploy(a_withheld("a", 2), a_withheld("b"))
    history.deploy(a_withheld("a", 2 << 120), a_withheld("b"))
    assert history.noted == {"a": "1-2", "b": "1-1"}
    history.deploy(a_withheld("b"))
    assert history.noted == {"b": "1-1"}


def test_what_a_person_rolled_back_is_not_noted() -> None:
    history = History()
    history.deploy(a_withheld("a", reason=Reason.ROLLED_BACK), a_withheld("b", reason=Reason.UNHEALTHY))
    assert history.noted == {"b": "1-1"}


def test_deletions_that_wait_are_one_line_a_push() -> None:
    history = History()
    history.deploy(*(guarded(f"s{number}") for number in range(200)))
    (line,) = lines_of(history.summary)
    assert (line["commit"], line["count"], line["since"]) == (commit(1)[:12], 200, "1-1")
    history.deploy(*(guarded(f"s{number}") for number in range(150)))
    assert [(line["count"], line["since"]) for line in lines_of(history.summary)] == [(150, "1-1")]


def test_the_note_is_bounded_and_what_gets_a_place_late_is_no_news() -> None:
    history = History()
    many = [a_withheld(f"s{number:03}") for number in range(MAX_NOTED + 20)]
    history.deploy(*many)
    assert (len(history.noted), history.summary.withheld["more"]) == (MAX_NOTED, 20)
    history.deploy(*many[5:])
    assert (len(history.noted), history.summary.withheld["more"]) == (MAX_NOTED - 5, 20)
    assert set(history.noted.values()) == {"1-1"}
    history.deploy(*many[5:], a_withheld("new"))
    assert history.noted["new"] == "1-3"
    assert history.summary.withheld["more"] == 20


def test_what_needs_a_person_comes_first() -> None:
    history = History()
    together = [a_withheld(f"a{number}", reason=Reason.TOGETHER) for number in range(MAX_NOTED)]
    history.deploy(*together, a_withheld("z"), guarded("y"))
    assert [line["reason"] for line in lines_of(history.summary)][:3] == ["deletion_guard", "rejected", "together"]
    assert history.summary.withheld["more"] == 2


def test_an_older_deployment_that_is_recorded_late_changes_nothing() -> None:
    history = History()
    history.deploy(a_withheld("a"))
    history.deploy()
    late = with_withheld(history.summary, a_pointer(1), Decision(manifest=a_manifest(withheld=(a_withheld("a"),))))
    assert late == history.summary


def test_a_summary_that_was_lost_learns_all_of_it_again() -> None:
    history = History()
    history.deploy(a_withheld("a"))
    history.summary = Summary()
    history.deploy(a_withheld("a"))
    assert history.noted == {"a": "1-2"}


def test_it_is_known_once_the_newest_deployment_is_noted() -> None:
    history = History()
    assert not is_known(history.summary)
    history.deploy()
    assert is_known(history.summary)
    pointer = replace(a_pointer(1), seq=2)
    assert not is_known(with_deployments(history.summary, [line_of(pointer, Decision(manifest=NO_MANIFEST))]))


def test_the_note_survives_the_way_through_the_store() -> None:
    history = History()
    history.deploy(a_withheld("<!channel> \u202e" + "x" * 300), guarded("y"))
    assert parse_summary(summary_bytes(history.summary)) == history.summary
    assert max(len(str(line["id"])) for line in lines_of(history.summary)) == MAX_ID_CHARS


@pytest.mark.parametrize(
    "noted",
    [
        {},
        {"skills": None},
        {"skills": {"a": 1}},
        {"skills": [None, 1, "x", {}, {"id": 1, "tree": "", "reason": "rejected", "since": ""}]},
        {"skills": [{"id": "a", "tree": "", "reason": "nonsense", "since": ""}]},
        {"skills": [{"id": "a", "tree": "", "reason": "deletion_guard", "since": "", "commit": 1}]},
    ],
)
def test_a_damaged_note_holds_nothing(noted: dict[str, object]) -> None:
    assert lines_of(Summary(withheld=noted)) == []
    assert not is_known(Summary(withheld=noted))
