"""What a validation found, and how it is told: as JSON, as SARIF, and as annotations of a GitHub workflow.

The same findings give the same bytes. No form holds matched text: code, path, line and the rule's hint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from shared.core.manifest import finding_document
from shared.core.rules import RULES
from shared.model import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.model import Finding, SkillId

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_PROPERTY = {"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"}
_MESSAGE = {key: value for key, value in _PROPERTY.items() if key not in ":,"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A validation's outcome. `findings` are in the order of path, line and code, each with its skill."""

    skills: int
    findings: tuple[tuple[SkillId, Finding], ...]

    @property
    def errors(self) -> int:
        """How many findings keep a skill out."""
        return sum(found.severity is Severity.ERROR for _, found in self.findings)


def report_of(skills: int, findings: Iterable[tuple[SkillId, Finding]]) -> Report:
    """Put findings in order.

    Args:
        skills: How many skills were judged.
        findings: What was found, with the skill; an empty one for the bundle as a whole.
    """
    ordered = sorted(findings, key=lambda pair: (pair[1].path, pair[1].line, pair[1].code, pair[1].hint))
    return Report(skills=skills, findings=tuple(ordered))


def as_document(report: Report) -> dict[str, object]:
    """Tell a report as JSON."""
    return {
        "valid": report.errors == 0,
        "skills": report.skills,
        "errors": report.errors,
        "warnings": len(report.findings) - report.errors,
        "findings": [{"skill": skill, **finding_document(found)} for skill, found in report.findings],
    }


def as_sarif(report: Report) -> dict[str, object]:
    """Tell a report as SARIF 2.1.0.

    Source:
        https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
    """
    codes = list(RULES)
    rules = [
        {
            "id": rule.code,
            "shortDescription": {"text": rule.hint},
            "help": {"text": rule.reason},
            "defaultConfiguration": {"level": rule.severity.value},
        }
        for rule in RULES.values()
    ]
    results = [
        {
            "ruleId": found.code,
            "ruleIndex": codes.index(found.code),
            "level": found.severity.value,
            "message": {"text": found.hint},
            "locations": [{"physicalLocation": _location(found)}],
        }
        for _, found in report.findings
    ]
    driver = {"name": "skill-sync", "rules": rules}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def as_annotations(report: Report) -> str:
    """Tell a report as workflow commands, one a line.

    Source:
        https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#setting-an-error-message
    """
    return "".join(f"{_annotation(found)}\n" for _, found in report.findings)


def _annotation(found: Finding) -> str:
    place = {"file": found.path, "line": str(max(found.line, 1)), "title": found.code}
    properties = ",".join(f"{key}={_escaped(value, _PROPERTY)}" for key, value in place.items())
    return f"::{found.severity.value} {properties}::{_escaped(found.hint, _MESSAGE)}"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(char, char) for char in text)


def _location(found: Finding) -> dict[str, object]:
    uri = quote(found.path.encode("utf-8", "surrogatepass"), safe="/")
    return {"artifactLocation": {"uri": uri or "."}, "region": {"startLine": max(found.line, 1)}}
