"""A report's three forms: the same findings, escaped as each form wants it, in one order."""

from __future__ import annotations

import json

from shared.core.rules import RULES, finding
from shared.core.validation_report import as_annotations, as_document, as_sarif, report_of
from shared.model import SkillId

BAD = finding("FM_SYNTAX", "skills/a/SKILL.md", 3, detail="50 % of it: no, yes")
ODD = finding("PATH_UNSAFE", "skills/a/ä b,c:d\n%.md")
SOFT = finding("VERSION_DERIVED", "skills/a/SKILL.md", 1)
A = SkillId("a")
REPORT = report_of(2, [(A, ODD), (A, BAD), (A, SOFT)])


def test_findings_stand_in_the_order_of_path_and_line_however_they_come() -> None:
    assert [found.code for _, found in REPORT.findings] == ["VERSION_DERIVED", "FM_SYNTAX", "PATH_UNSAFE"]
    assert report_of(2, [(A, SOFT), (A, BAD), (A, ODD)]) == REPORT


def test_the_document_counts_and_is_valid_without_errors_only() -> None:
    document = as_document(REPORT)
    assert (document["valid"], document["skills"], document["errors"], document["warnings"]) == (False, 2, 2, 1)
    assert document["findings"][0] == {  # type: ignore[index]
        "skill": "a",
        "code": "VERSION_DERIVED",
        "severity": "warning",
        "path": "skills/a/SKILL.md",
        "line": 1,
        "hint": SOFT.hint,
    }
    assert as_document(report_of(1, [(A, SOFT)]))["valid"] is True
    assert as_document(report_of(0, []))["findings"] == []


def test_annotations_escape_what_would_end_a_property_or_a_line() -> None:
    lines = as_annotations(REPORT).splitlines()
    assert lines[1] == f"::error file=skills/a/SKILL.md,line=3,title=FM_SYNTAX::{BAD.hint.replace('%', '%25')}"
    assert lines[2].startswith("::error file=skills/a/ä b%2Cc%3Ad%0A%25.md,line=1,title=PATH_UNSAFE::")
    assert len(lines) == 3


def test_sarif_names_every_rule_and_points_at_each_place() -> None:
    document = json.loads(json.dumps(as_sarif(REPORT)))
    (run,) = document["runs"]
    assert document["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == list(RULES)
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning"}
    place = run["results"][2]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "skills/a/%C3%A4%20b%2Cc%3Ad%0A%25.md"}, "region": {"startLine": 1}}
