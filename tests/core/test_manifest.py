from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.canonical import canonical_bytes, digest_of
from shared.core.manifest import manifest_bytes, parse_manifest
from shared.core.rules import RULES, finding
from shared.errors import InputError
from shared.model import FileEntry, Finding, LiveSkill, Manifest, Reason, Severity, Withheld
from tests.core.samples import NO_MANIFEST, a_live_skill, a_manifest, a_withheld, commit, digest, git_id

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLE = a_manifest(
    a_live_skill(
        "hello",
        files=(
            FileEntry(path="SKILL.md", mode=0o644, blob=git_id(1), size=64),
            FileEntry(path="scripts/run.sh", mode=0o755, blob=git_id(2), size=0),
        ),
    ),
    a_live_skill(
        "world", 2, path="skills/world", version="0.0.0+git.000000000000", version_source="derived", name="Wörld"
    ),
    withheld=(
        a_withheld("hello", 3, findings=(finding("FM_SYNTAX", "hello/SKILL.md", 2),)),
        a_withheld("gone", None, reason=Reason.DELETION_GUARD),
        a_withheld("Not a slug", 4, reason=Reason.TOGETHER),
    ),
)
GOLDEN = "c9f5e39f80b3b1a5"

SLUGS = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,2}", fullmatch=True)
GIT_IDS = st.integers(0, 16**40 - 1).map(git_id)
SEGMENTS = st.text(st.sampled_from("abcxyz019._-é"), min_size=1, max_size=8).filter(
    lambda text: text.strip("._-") == text
)
FILES = st.dictionaries(
    st.lists(SEGMENTS, min_size=1, max_size=3).map(lambda parts: "/".join(["d", *parts, "f"])),
    st.integers(0),
    max_size=4,
)


@st.composite
def live_skills(draw: st.DrawFn) -> LiveSkill:
    files = tuple(
        FileEntry(path=path, mode=draw(st.sampled_from([0o644, 0o755])), blob=draw(GIT_IDS), size=size)
        for path, size in draw(FILES).items()
    )
    return a_live_skill(
        draw(SLUGS),
        tree=draw(st.integers(0, 99)),
        files=files,
        name=draw(st.text()),
        version=draw(st.text()),
        path=draw(st.text()),
    )


FINDINGS = st.builds(
    Finding,
    code=st.sampled_from(sorted(RULES)),
    severity=st.sampled_from(Severity),
    path=st.text(),
    line=st.integers(0),
    hint=st.text(),
)
WITHHELD = st.builds(
    Withheld,
    id=st.text(),
    tree=st.none() | GIT_IDS,
    path=st.text(),
    reason=st.sampled_from(Reason),
    commit=GIT_IDS,
    findings=st.lists(FINDINGS, max_size=3).map(tuple),
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    live, held = draw(st.lists(live_skills(), max_size=4)), draw(st.lists(WITHHELD, max_size=4))
    return a_manifest(*live, withheld=tuple(held), root=draw(st.text()), rules=draw(st.text()))


@given(manifests())
def test_a_manifest_reads_back_as_itself_and_writes_the_same_bytes_again(manifest: Manifest) -> None:
    data = manifest_bytes(manifest)
    assert parse_manifest(data) == manifest
    assert manifest_bytes(parse_manifest(data)) == data


@given(manifests(), st.randoms())
def test_the_order_in_which_skills_are_noted_does_not_change_the_bytes(manifest: Manifest, random) -> None:  # noqa: ANN001
    skills, withheld = list(manifest.skills.items()), list(manifest.withheld.items())
    random.shuffle(skills)
    random.shuffle(withheld)
    assert manifest_bytes(replace(manifest, skills=dict(skills), withheld=dict(withheld))) == manifest_bytes(manifest)


def test_the_bytes_of_a_manifest_are_the_same_in_every_version_of_the_program() -> None:
    assert digest_of(manifest_bytes(SAMPLE))[:16] == GOLDEN
    assert manifest_bytes(NO_MANIFEST) == (
        b'{"channel":"prod","repo":"octo/skills","root":"","rules":"r1",'
        b'"schema":"skill-sync/manifest/1","skills":{},"withheld":{}}'
    )


def changed(edit: Callable[[dict], object]) -> bytes:
    document = copy.deepcopy(json.loads(manifest_bytes(SAMPLE)))
    edit(document)
    return canonical_bytes(document)


def in_skill(**members: object) -> bytes:
    return changed(lambda document: document["skills"]["hello"].update(members))


def in_file(**members: object) -> bytes:
    return changed(lambda document: document["skills"]["hello"]["files"][1].update(members))


def in_held(**members: object) -> bytes:
    return changed(lambda document: document["withheld"]["hello"].update(members))


def live_as(key: str) -> bytes:
    return changed(lambda document: document["skills"].update({key: document["skills"]["hello"]}))


HOSTILE = {
    "no JSON": b"{",
    "another schema": changed(lambda document: document.update(schema="skill-sync/manifest/2")),
    "no schema": changed(lambda document: document.pop("schema")),
    "no rules": changed(lambda document: document.pop("rules")),
    "skills that are a list": changed(lambda document: document.update(skills=[])),
    "a skill that is none": changed(lambda document: document["skills"].update(hello=None)),
    **{f"a live id {key!r}": live_as(key) for key in ("", "..", "../x", "a/b", "A", "a_b", "a\0", "x" * 65, ".git")},
    **{
        f"a path {path[:20]!r}": in_file(path=path)
        for path in (
            *(
                "",
                ".",
                "..",
                "../x",
                "a/../../b",
                "/etc/passwd",
                "a//b",
                "a/",
                "a\\b",
                "C:x",
                "a\nb",
                "a\0b",
                ".git/config",
            ),
            *("con", "e\u0301", "x" * 241, "/".join("a" * 17)),
        )
    },
    "a path twice": in_file(path="SKILL.md"),
    "paths that differ in case": in_file(path="skill.MD"),
    "a file where a folder must be": in_file(path="SKILL.md/x"),
    **{f"mode {mode!r}": in_file(mode=mode) for mode in ("0777", "0600", "4755", "0120000", "644", "", None, 420)},
    "a blob id in capitals": in_file(blob="A" * 40),
    "a blob id too short": in_file(blob="a" * 39),
    "a blob id with a line break": in_file(blob="a" * 40 + "\n"),
    "a size that is a text": in_file(size="1"),
    "a size that is a truth value": in_file(size=True),
    "a size below zero": in_file(size=-1),
    "a tree id that is none": in_skill(tree="x"),
    "files that are none": in_skill(files={}),
    "an archive that is none": in_skill(archive="x"),
    "an archive's digest in capitals": in_skill(archive={"sha256": digest(1).upper(), "size": 1}),
    "an archive's digest with a path": in_skill(archive={"sha256": "../" + digest(1)[3:], "size": 1}),
    "an archive without size": in_skill(archive={"sha256": digest(1)}),
    "an archive's size below zero": in_skill(archive={"sha256": digest(1), "size": -1}),
    "no version": in_skill(version=None),
    "withheld that is none": changed(lambda document: document["withheld"].update(hello=1)),
    "a reason that nobody knows": in_held(reason="moon"),
    "a tree that is a number": in_held(tree=3),
    "findings that are none": in_held(findings=None),
    "a finding that is none": in_held(findings=["x"]),
    "a severity that nobody knows": in_held(
        findings=[{"code": "x", "severity": "dire", "path": "x", "line": 1, "hint": "x"}]
    ),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_member_is_refused_though_the_digest_was_right(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_manifest(data)


def test_the_unchanged_sample_is_read() -> None:
    assert parse_manifest(changed(lambda _: None)) == SAMPLE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=5), below, max_size=3),
    max_leaves=5,
)


@given(st.data(), JSON)
def test_no_value_at_any_place_raises_anything_but_an_input_error(data: st.DataObject, value: object) -> None:
    def put(document: object) -> None:
        while True:
            keys = sorted(document) if isinstance(document, dict) else range(len(document))
            key = data.draw(st.sampled_from(keys))
            below = document[key]
            if not below or not isinstance(below, dict | list) or data.draw(st.booleans()):
                document[key] = value
                return
            document = below

    try:
        parsed = parse_manifest(changed(put))
    except InputError:
        return
    assert manifest_bytes(parsed)


def test_a_withheld_deletion_has_no_tree() -> None:
    assert parse_manifest(manifest_bytes(SAMPLE)).withheld["gone"].tree is None
    assert json.loads(manifest_bytes(SAMPLE))["withheld"]["gone"]["commit"] == commit(1)
