"""What a gateway says of itself: read strictly, in every form of listing that is known, and never trusted with our memory."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.puller.sighting import MAX_ANSWER_BYTES, MAX_VALUES, Listed, Sighting, sighting_of, unwell

DIGEST = "0123456789abcdef" * 4


def seen(document: object) -> Sighting:
    return sighting_of(json.dumps(document).encode())


def skills(value: object) -> tuple[Listed, ...] | None:
    found = seen({"ok": True, "skills": value})
    assert found.healthy
    return found.skills


OPENCLAW = {
    "name": "Morning notes",
    "description": "Writes notes.",
    "source": "openclaw-extra",
    "bundled": False,
    "filePath": "/data/skills/notes/SKILL.md",
    "baseDir": "/data/skills/notes",
    "skillKey": "morning-notes",
    "always": False,
    "disabled": True,
    "blockedByAllowlist": False,
    "eligible": False,
    "requirements": {"bins": [], "anyBins": [], "env": [], "config": [], "os": []},
    "missing": {"bins": [], "anyBins": [], "env": [], "config": [], "os": []},
    "configChecks": [],
    "install": [],
}

FORMS: dict[str, tuple[object, tuple[Listed, ...] | None]] = {
    "our own watchers'": (
        [{"id": "a", "name": "A", "version": "1.0.0", "digest": DIGEST, "error": None}],
        (Listed(id="a", name="A", digest=DIGEST),),
    ),
    "one that keeps the last good version": (
        [{"id": "a", "name": "A", "digest": DIGEST, "error": "no closed frontmatter"}],
        (Listed(id="a", name="A", digest=DIGEST),),
    ),
    "OpenClaw's, disabled and not eligible": ([OPENCLAW], (Listed(id="notes", name="Morning notes"),)),
    "OpenClaw's without the file": (
        [{"name": "n", "baseDir": "/data/skills/notes/", "skillKey": "k"}],
        (Listed(id="notes", name="n"),),
    ),
    "OpenClaw's own skills beside ours": (
        [{**OPENCLAW, "source": "openclaw-bundled"}, {"name": "x"}],
        (Listed(name="x"),),
    ),
    "a skill of ours that took a bundled one's name": (
        [{"name": "github", "source": "openclaw-workspace", "bundled": True, "baseDir": "/w/skills/github"}],
        (Listed(id="github", name="github"),),
    ),
    "nothing but OpenClaw's own": ([{"name": "github", "source": "openclaw-bundled"}], ()),
    "a path that names no folder": ([{"name": "n", "filePath": "SKILL.md", "baseDir": "notes"}], (Listed(name="n"),)),
    "names alone": (["a", "b"], (Listed(name="a"), Listed(name="b"))),
    "a slug": ([{"slug": "a"}], (Listed(id="a"),)),
    "a key": ([{"key": "a", "name": "A"}], (Listed(id="a", name="A"),)),
    "an object by names": ({"a": {"sha256": DIGEST.upper()}}, (Listed(name="a", digest=DIGEST),)),
    "an object by ids": ({"a": {"name": "A"}}, (Listed(id="a", name="A"),)),
    "an object whose entries say all": ({"x": {"id": "a", "name": "A"}}, (Listed(id="a", name="A"),)),
    "a digest that says its kind": ([{"id": "a", "hash": f"sha256:{DIGEST}"}], (Listed(id="a", digest=DIGEST),)),
    "a digest of another kind": ([{"id": "a", "hash": DIGEST[:40]}], (Listed(id="a"),)),
    "a digest that is none": ([{"id": "a", "digest": 7}], (Listed(id="a"),)),
    "an id that is no text": ([{"id": 7, "name": "A"}], (Listed(name="A"),)),
    "an id of any length": ([{"id": "x" * 513}, "a"], (Listed(name="a"),)),
    "rubbish among it": ([None, 7, [], {}, "", "a"], (Listed(name="a"),)),
    "nothing but rubbish": ([None, {}], None),
    "no skill at all": ([], ()),
    "no skill at all, by name": ({}, ()),
    "a count": (45, None),
    "an object that counts": ({"count": 45, "withheld": 5, "last_updated": ["a"]}, None),
    "nothing": (None, None),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_listing_is_read_in_each_form(form: str) -> None:
    value, expected = FORMS[form]
    assert skills(value) == expected


@pytest.mark.parametrize("wrapper", ["result", "payload", "data"])
def test_a_listing_may_stand_inside_of_an_envelope(wrapper: str) -> None:
    assert seen({"ok": True, wrapper: {"skills": ["a"]}}).skills == (Listed(name="a"),)
    assert seen({"skills": 1, wrapper: {"skills": ["a"]}}).skills == (Listed(name="a"),)
    assert seen({wrapper: {wrapper: {"skills": ["a"]}}}).skills is None


@pytest.mark.parametrize(
    "document", [{}, {"ok": True}, {"ok": None}, {"status": "live"}, {"status": 500}, {"result": 1}]
)
def test_any_object_that_does_not_deny_it_is_a_healthy_gateways(document: object) -> None:
    assert seen(document) == Sighting(healthy=True)


@pytest.mark.parametrize("document", [{"ok": False}, {"status": "unhealthy"}, {"ok": True, "status": "ERROR"}])
def test_a_gateway_that_says_so_is_not_well(document: object) -> None:
    found = seen(document)
    assert (found.healthy, found.skills, found.code) == (False, None, "gateway_not_ok")


NOT_JSON = {
    "nothing": b"",
    "HTML": b"<!doctype html><html><body>clawdbot</body></html>",
    "a list": b"[]",
    "a text": b'"ok"',
    "cut off": b'{"ok": true',
    "two of them": b'{"ok": true}{"ok": true}',
    "a key twice": b'{"ok": false, "ok": true}',
    "not UTF-8": b'{"ok": "\xff"}',
    "no number": b'{"ok": NaN}',
    "deep": b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}",
    "very deep": b'{"a":' + b"[" * 200_000,
    "half a character": b'{"a": "\\ud800"}',
}


@pytest.mark.parametrize("kind", NOT_JSON)
def test_what_is_no_json_object_proves_nothing(kind: str) -> None:
    found = sighting_of(NOT_JSON[kind])
    assert (found.healthy, found.skills, found.code) == (False, None, "gateway_not_json")
    assert found.detail.startswith("the answer ")


@pytest.mark.parametrize(
    "data",
    [b'{"a":"' + b"x" * MAX_ANSWER_BYTES + b'"}', b'{"a":[' + b",".join([b"[]"] * (MAX_VALUES // 2 + 2)) + b"]}"],
    ids=["bytes", "values"],
)
def test_what_would_take_too_much_memory_is_not_read(data: bytes) -> None:
    assert sighting_of(data).code == "gateway_too_large"


def test_ten_thousand_skills_are_read() -> None:
    listing = [{"id": f"skill-{number}", "name": "n", "digest": DIGEST, "error": None} for number in range(10_000)]
    assert len(skills(listing) or ()) == 10_000


def test_a_detail_is_short_and_fit_for_a_terminal() -> None:
    found = unwell("gateway_status", "\x1b[31m" + "x" * 1000)
    assert found.detail == "\N{REPLACEMENT CHARACTER}[31m" + "x" * 195


@given(st.binary() | st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["skills", "result", "data", "ok", "status", "id", "name", "digest", "filePath", "source"]), inner
)).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")))  # fmt: skip
def test_whatever_comes_is_a_sighting(data: bytes) -> None:
    found = sighting_of(data)
    assert found.healthy == (found.code == "")
    assert found.healthy or found.skills is None
    assert all(each.id is not None or each.name is not None for each in found.skills or ())
