"""The words of `disaster-recovery.md`: every answer has its row, every row its section, every command its proof."""

from __future__ import annotations

import re
import subprocess
from itertools import product
from typing import TYPE_CHECKING

import pytest

from shared.core.states import LATCHING, PAUSING, next_action, state_of, with_latch
from tests.fakes.trusted import following
from tests.fakes.world import TRUST
from tests.infra import gcloud_stand_in
from tests.infra.disaster_page import (
    ACKNOWLEDGE,
    DELETED,
    FOLLOWED,
    GCLOUD,
    LOST_ANCHOR,
    LOST_KEY,
    OPEN,
    OTHER,
    PAGE,
    PUSH,
    TWO,
    VERIFY,
    sections_for,
    table,
)
from tests.infra.runbook_page import RUNBOOKS, commands, headings
from tests.infra.site import BUCKET, GRAPH, VOLUME

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (RUNBOOKS / PAGE).read_text(encoding="utf-8")
DEGRADING = ("trust_invalid", "trust_expired", "pointer_unverifiable", "pointer_expired", "clock_skew")
AT = "2026-01-01T00:00:00.000Z"


def what_may_be_next() -> set[tuple[str, str]]:
    """Each `match_status` with each `next_action` that can stand beside it."""
    found = {("match", "none"), ("unknown", "none")}
    for reason in (*sorted(PAUSING), *DEGRADING):
        latches = with_latch((), reason, TRUST, AT)
        status = reason if reason in LATCHING else "match"
        for trust in (TRUST, following(TRUST, epoch=TRUST.epoch + 1)):
            for remembered in (0, trust.epoch + 1):
                state = state_of([reason], latches, trust)
                found.add((status, next_action(state, latches, trust, remembered_epoch=remembered)))
    return found


@pytest.mark.parametrize(("status", "action"), sorted(what_may_be_next()))
def test_whatever_is_next_has_one_row(status: str, action: str) -> None:
    assert len(sections_for(status, action)) == 1


def test_the_rows_lead_to_sections_of_the_page() -> None:
    led = {section for status, action in what_may_be_next() for section in sections_for(status, action)}
    assert led == {VERIFY, PUSH, OPEN, TWO, ACKNOWLEDGE, OTHER}
    links = set(re.findall(r"\]\(#([^)]+)\)", TEXT))
    assert links <= {title.lower().replace(" ", "-").replace("'", "") for title in headings(PAGE)}


@pytest.mark.parametrize("reason", sorted({*PAUSING, *DEGRADING}))
def test_each_reason_is_told_of(reason: str) -> None:
    assert f"`{reason}`" in TEXT


def test_every_restore_is_told_of() -> None:
    told = [frozenset(rewound.split(" + ")) for rewound, _ in table("rewound, or lost")]
    assert len(told) == 8
    wanted = {frozenset(part for part in parts if part) for parts in product(("", BUCKET), ("", VOLUME), ("", GRAPH))}
    assert set(told) == wanted - {frozenset()} | {frozenset({"nothing"})}


def test_each_variable_of_a_command_is_named_on_the_page() -> None:
    used = {name for command in commands(PAGE) for name in re.findall(r"\$\{?([A-Z_]+)", command.text)}
    assert used
    assert used <= set(re.findall(r"`([A-Z_]+)`", TEXT))


def test_every_command_is_run_on_an_installation_or_taken_by_the_stand_in(tmp_path: Path) -> None:
    variables = {"STORE_URI": "gs://skills/prod", "EVIDENCE": "evidence", "DIGEST": "0" * 64, "GENERATION": "17"}
    gcloud_stand_in.install(tmp_path, GCLOUD, variables)
    foreign = [command for command in commands(PAGE) if command.text.startswith("gcloud ")]
    assert {command.section for command in commands(PAGE) if command not in foreign} == FOLLOWED
    assert {command.section for command in foreign} == {TWO, LOST_KEY, LOST_ANCHOR, DELETED}
    for command in foreign:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", **variables}
        ran = subprocess.run(["sh", "-c", command.text], env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    asked = gcloud_stand_in.asked(tmp_path)
    assert len(asked) == len(GCLOUD) == len({tuple(call) for call in asked})


def test_the_stand_in_takes_nothing_else(tmp_path: Path) -> None:
    gcloud_stand_in.install(tmp_path, [("storage", "cat", "{A}")], {"A": "x"})
    for words, taken in (
        (["storage", "cat", "x"], True),
        (["storage", "cat", "y"], False),
        (["storage", "cat"], False),
    ):
        ran = subprocess.run([str(tmp_path / "gcloud"), *words], capture_output=True, text=True, check=False)
        assert (ran.returncode == 0) is taken
    assert gcloud_stand_in.asked(tmp_path) == [["storage", "cat", "x"]]
