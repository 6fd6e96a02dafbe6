from __future__ import annotations

import re

import pytest

from shared.core.alert_book import Batch, Entry
from shared.core.alert_kinds import RUNBOOK, WORDS, Tone, Topic
from shared.core.alerts import causes_of
from shared.core.cause import Cause
from shared.core.letters import MAX_LINES, Letter, letter_of
from shared.model import DeploymentId
from tests.core.samples import NOW
from tests.core.test_alerts import a_report, a_skill, at, evidence, noted
from tests.core.test_plain_text import HOSTILE

DISCORD_CHARS = 2000
SAFE = re.compile(r"[A-Za-z0-9 .,:;()?_/#\[\]'\n-]*")
"""The alphabet of a whole message. What it could spell, a link, a mention or a format, is looked for beside it."""
SPELT = re.compile(r"://|www\.|\]\(|__|#\w+\s*\[", re.IGNORECASE)


def an_entry(
    line: str = "a line", *, topic: Topic = Topic.REJECTED, count: int = 1, gone_at: str | None = None
) -> Entry:
    cause = Cause(key=line, topic=topic, subject=line, line=line, since=at(0), count=count)
    return Entry(cause=cause, seen_at=at(0), gone_at=gone_at)


def a_letter(*entries: Entry, over: bool = False, channel: str = "prod", repo: str = "octo/skills") -> Letter:
    batch = Batch(topic=entries[0].cause.topic, over=over, to=frozenset({"x"}), lease="", entries=entries)
    return letter_of(batch, channel=channel, repo=repo, deployment=DeploymentId("1-7"))


def test_a_letter_says_what_where_since_when_and_what_to_do_next() -> None:
    letter = a_letter(an_entry("one"), an_entry("two"))
    assert letter.title == "[skill-sync prod] 2 skills withheld by the rules"
    assert letter.body.splitlines() == [
        "octo/skills, channel prod, deployment 1-7",
        "The last good versions stay live; the others of the push went on.",
        "",
        "- one",
        "- two",
        "",
        "Next: the author mends the findings and pushes again; GET /api/skills shows them with file and line.",
        "Runbook: infra/runbooks/operations.md#withheld-by-the-rules",
    ]
    assert (letter.tone, letter.to) == (Tone.WARNING, frozenset({"x"}))


def test_a_recovery_says_how_long_it_lasted() -> None:
    letter = a_letter(an_entry("one", gone_at=at(12)), an_entry("two", gone_at=at(125)), over=True)
    assert letter.title == "[skill-sync prod] recovered: 2 skills withheld by the rules"
    assert "- one (recovered after 12 min)\n- two (recovered after 2 h 5 min)" in letter.body
    assert letter.tone is Tone.RECOVERY


def test_one_line_may_stand_for_many() -> None:
    assert a_letter(an_entry(topic=Topic.DELETION_GUARD, count=9)).title.endswith("] 9 deletions wait for a person")
    assert a_letter(an_entry(topic=Topic.DELETION_GUARD)).title.endswith("] 1 deletion waits for a person")


@pytest.mark.parametrize("length", [1, 60, 199, 5000])
@pytest.mark.parametrize("topic", Topic)
def test_a_letter_is_bounded_and_says_how_much_it_left_out(length: int, topic: Topic) -> None:
    entries = [an_entry("x" * length, topic=topic) for _ in range(300)]
    letter = a_letter(*entries, channel="c" * 500, repo="o" * 64 + "/" + "r" * 63)
    shown = sum(line.startswith("- ") for line in letter.body.splitlines())
    assert 0 < shown <= MAX_LINES
    assert f"\nand {300 - shown} more\n" in letter.body
    assert len(letter.title) + len(letter.body) < DISCORD_CHARS


@pytest.mark.parametrize("topic", Topic)
def test_every_kind_names_its_section_of_the_runbook(topic: Topic) -> None:
    letter = a_letter(an_entry(topic=topic))
    assert letter.body.endswith(f"\nRunbook: {RUNBOOK}#{topic.value}")
    assert WORDS[topic].step in letter.body


@pytest.mark.parametrize("text", HOSTILE)
def test_no_letter_holds_a_mention_a_link_or_a_format(text: str) -> None:
    found = causes_of(
        evidence(
            noted(a_skill(text, codes=[text], since=text, tree=text)), reports=[a_report(id=text, outcome="held")]
        ),
        NOW,
    )
    for cause in found:
        letter = a_letter(Entry(cause=cause, seen_at=at(0)), channel=text)
        for part in (letter.title, letter.body):
            assert SAFE.fullmatch(part)
            assert not SPELT.search(part)


def test_the_texts_of_all_kinds_are_harmless_themselves() -> None:
    for words in WORDS.values():
        for text in (words.one, words.many.format(n=2), words.meaning, words.step):
            assert SAFE.fullmatch(text)
            assert not SPELT.search(text)
