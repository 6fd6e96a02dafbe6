from __future__ import annotations

import pytest

from shared.core.rules import RULES, Terms, ValidationPolicy, VersionPolicy, finding, rule_set_version
from shared.model import Severity

OTHER_TERMS = [
    Terms(validation=ValidationPolicy.ALL_OR_NOTHING),
    Terms(version=VersionPolicy.STRICT),
    Terms(version=VersionPolicy.DECLARED),
    Terms(max_skill_file_bytes=102_401),
]


def test_the_rule_set_has_another_version_under_every_other_setting() -> None:
    versions = [rule_set_version(terms) for terms in (Terms(), *OTHER_TERMS)]
    assert len(set(versions)) == len(versions)


def test_the_same_settings_give_the_same_version() -> None:
    assert rule_set_version(Terms()) == rule_set_version(Terms())
    assert all(len(rule_set_version(terms)) == 16 for terms in OTHER_TERMS)


def test_the_limits_are_those_that_authors_are_told() -> None:
    assert Terms().max_skill_file_bytes == 102_400
    assert Terms().validation is ValidationPolicy.PER_SKILL
    assert Terms().version is VersionPolicy.DERIVED


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rule_tells_the_author_what_to_change_and_the_team_why(rule) -> None:  # noqa: ANN001
    assert rule.code.isupper()
    assert rule.hint
    assert rule.reason
    assert "\n" not in rule.hint


def test_a_rule_stands_in_the_table_once() -> None:
    assert len({rule.hint for rule in RULES.values()}) == len(RULES)


def test_a_finding_has_its_rules_severity_and_hint_and_a_word_about_this_case() -> None:
    found = finding("FILE_TOO_LARGE", "a/SKILL.md", 3, detail="5 bytes")
    assert (found.code, found.severity, found.path, found.line) == ("FILE_TOO_LARGE", Severity.ERROR, "a/SKILL.md", 3)
    assert found.hint == f"{RULES['FILE_TOO_LARGE'].hint} (5 bytes)"
    assert finding("JUNK_SKIPPED", "a").hint == RULES["JUNK_SKIPPED"].hint
    assert finding("JUNK_SKIPPED", "a").line == 0
