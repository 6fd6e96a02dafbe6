"""What the product can say, and a person must act on, stands in the runbooks; what stands there is what the code says."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from shared.cli.health_view import troubles
from shared.core.alert_kinds import RUNBOOK, Topic
from shared.core.boot import _GATES
from shared.core.kpis import kpis
from shared.core.rules import RULES
from shared.core.states import _ACTIONS, LATCHING, PAUSING, Condition
from shared.core.summary import Summary
from shared.model import Reason, Severity
from shared.puller import proof, prove
from shared.puller.drift import ADDED, CHANGED, KEPT, MISSING, REPAIRED, REPORTED
from tests.infra.page_stack import section_of
from tests.infra.runbook_page import RUNBOOKS, headings

ROOT = Path(__file__).resolve().parents[2]
PAGE = "operations.md"
PAGES = ("operations.md", "hot-reload-verification.md", "webhook-setup.md")
ACTED_ON = re.compile(
    r"(SOURCE|REPOSITORY|BRANCH|GITHUB|STORE|OBJECT|MANIFEST|SIGNING_KEY|TRUST|CONFIG|JUDGE|DEADLINE|DEFERRAL|AUDIT|RELEASE|STATE|GC)"
    r"_[A-Z_]+|[A-Z]+_BUSY|NO_DEPLOYMENT|(PULLER|API)_KEY_[A-Z_]+|SIGNATURE_[A-Z]+|[a-z]+(_[a-z]+)+"
)
"""Codes of what a person mends; what is left are answers to somebody who asked wrongly, and verdicts of rules."""


@cache
def raised() -> frozenset[str]:
    """Every code that an error of ours carries, and every one that is told as a reason."""
    files = [*(ROOT / "functions").rglob("*.py"), *(ROOT / "shared").rglob("*.py")]
    return frozenset(code for file in files if "cli" not in file.parts for code in _codes(file))


def _codes(file: Path) -> list[str]:
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    named = [(call, getattr(call.func, "id", getattr(call.func, "attr", ""))) for call in calls]
    first = [call.args[0] for call, name in named if name.endswith(("Error", "_Fault")) and call.args]
    given = [each.value for call in calls for each in call.keywords if each.arg == "code"]
    texts = [node.value for node in (*first, *given) if isinstance(node, ast.Constant)]
    return [text for text in texts if isinstance(text, str) and ACTED_ON.fullmatch(text)]


def page(name: str = PAGE) -> str:
    return (RUNBOOKS / name).read_text(encoding="utf-8")


def rows(section: str) -> list[list[str]]:
    """The cells of a section's tables, without their heads."""
    lines = [line for line in section_of(PAGE, section).splitlines() if line.startswith("| ")]
    heads = ("| line", "| reason", "| code", "| figure")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith(heads)]


def test_every_code_that_a_person_mends_is_explained() -> None:
    text = "".join(page(name) for name in PAGES)
    assert len(raised()) > 50
    assert sorted(code for code in raised() if f"`{code}`" not in text) == []


def test_every_line_of_trouble_leads_somewhere() -> None:
    told = [row[0] for row in rows("First look")]
    bad = {"status": "silent", "id": "edge"}
    document = {
        "state": "PAUSED",
        "reasons": ["wrong_channel"],
        "services": {
            "poller": {"status": "stale", "error": "SOURCE_DENIED"},
            "audit": {"error": "AUDIT_DENIED"},
            "pullers": [bad, {**bad, "status": "held"}, {**bad, "status": "behind"}],
        },
    }
    found = [*troubles(document), *troubles({"error": "STORE_DENIED", "state": "DEGRADED"})]
    assert len(found) == 10
    phrases = [phrase.split("…") for cell in told for phrase in cell.split(", ")]
    assert [line for line in found if not any(all(part.strip() in line for part in each) for each in phrases)] == []


@pytest.mark.parametrize("topic", Topic)
def test_every_topic_of_an_alert_has_the_section_that_alerts_name(topic: Topic) -> None:
    assert (ROOT / RUNBOOK).is_file()
    assert topic.value in headings(PAGE)
    assert "SEV" in section_of(PAGE, topic.value)


def test_every_section_below_alerts_is_a_topic_or_of_a_credential() -> None:
    below = page().partition("\n## Alerts\n")[2].partition("\n## ")[0]
    found = set(re.findall(r"^### (.+)$", below, re.MULTILINE))
    assert found == {topic.value for topic in Topic} | {"credential-due", "credential-policy", "rotation-open"}


def test_every_reason_of_a_state_is_explained_with_the_state_that_it_makes() -> None:
    told = {row[0].strip("`"): row[1] for row in rows("Reasons of a state")}
    known = PAUSING | LATCHING | _ACTIONS.keys()
    assert told == {reason: (Condition.PAUSED if reason in PAUSING else Condition.DEGRADED).value for reason in known}


def test_every_reason_that_holds_a_gate_of_the_boot_is_explained() -> None:
    text = page()
    assert sorted(reason for reason in _GATES if f"`{reason}`" not in text) == []


def test_every_reason_of_a_proof_is_explained() -> None:
    section = section_of(PAGE, "Reasons of a puller")
    for reason in (proof.UNHEALTHY, proof.LOST, proof.UNPROVED, prove.GATEWAY_DOWN):
        assert f"`{reason}`" in section


def test_every_reason_to_withhold_says_what_ends_it() -> None:
    told = [row[0].strip("`") for row in rows("Validation failures")]
    assert [reason.value for reason in Reason if reason.value not in told] == []


def test_every_rule_that_keeps_a_skill_out_is_explained() -> None:
    told = {code for row in rows("Validation failures") for code in re.findall(r"`([A-Z_]+)`", row[0])}
    assert told == {rule.code for rule in RULES.values() if rule.severity is Severity.ERROR}


def test_every_word_of_a_drift_is_explained() -> None:
    section = section_of(PAGE, "drift")
    assert [word for word in (CHANGED, MISSING, ADDED, REPAIRED, REPORTED, KEPT) if f"`{word}`" not in section] == []


def test_the_key_figures_and_their_targets_are_the_codes() -> None:
    indicators = kpis(Summary(), [], datetime(2026, 11, 21, tzinfo=UTC))["indicators"]
    assert isinstance(indicators, list)
    wanted = [(f"`{each['name']}`", each["target"], each["unit"]) for each in indicators]
    told = [
        (row[0], row[1].removesuffix(" ms"), "ms" if row[1].endswith(" ms") else "ratio") for row in rows("Key figures")
    ]
    assert told == wanted
