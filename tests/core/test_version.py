from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.frontmatter import Frontmatter, read_yaml
from shared.core.rules import VersionPolicy
from shared.core.version import EffectiveVersion, effective_version, normal_version
from shared.model import TreeId

TREE = TreeId("0123456789abcdef0123456789abcdef01234567")
DERIVED, DECLARED, STRICT = VersionPolicy.DERIVED, VersionPolicy.DECLARED, VersionPolicy.STRICT


def version(
    frontmatter: str = "", manifest_file: bytes | None = None, policy: VersionPolicy = DERIVED
) -> EffectiveVersion:
    return effective_version(read_yaml(frontmatter), manifest_file, TREE, policy)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        *[(text, text) for text in ("0.0.0", "1.2.3", "10.20.30", "1.0.0-alpha", "1.0.0-0.3.7", "1.0.0-x.7.z.92")],
        *[
            (text, text)
            for text in ("1.0.0+20130313144700", "1.0.0-beta+exp.sha.5114f85", "1.0.0-x-y-z.--", "1.0.0+0001")
        ],
        *[("1.0", "1.0.0"), ("0.1", "0.1.0"), ("1.10", "1.10.0")],
        *[
            (text, None)
            for text in ("", "1", "v1.0.0", "1.0.0.0", "01.0.0", "1.00.0", "1.0.0-", "1.0.0-01", "1.0.0+", "1.0.")
        ],
        *[
            (text, None)
            for text in ("1.0.0 ", " 1.0.0", "1.0.0\n", "1,0", "1.0-beta", "01.0", "latest", "1.0.0-ä", "\u0661.0.0")
        ],
        *[(f"1.0.0+{'a' * 122}", f"1.0.0+{'a' * 122}"), (f"1.0.0+{'a' * 123}", None), ("9" * 100_000, None)],
    ],
)
def test_a_version_is_semver_and_two_numbers_are_padded(text: str, normal: str | None) -> None:
    assert normal_version(text) == normal


@given(st.text())
def test_a_normal_version_is_its_own(text: str) -> None:
    normal = normal_version(text)
    assert normal is None or normal_version(normal) == normal


ALL = "version: 1.0.0\nmetadata:\n  version: 2.0.0"


@pytest.mark.parametrize(
    ("frontmatter", "manifest_file", "text", "source", "conflicting"),
    [
        ("version: 1.0.0", None, "1.0.0", "frontmatter", False),
        (ALL, b"version: 3.0.0", "1.0.0", "frontmatter", True),
        ("metadata: {version: 2.0.0}", b"version: 3.0.0", "2.0.0", "metadata", True),
        ("metadata: {version: 2.0.0}", None, "2.0.0", "metadata", False),
        ("", b"version: 3.0.0", "3.0.0", "skill.yaml", False),
        ("version: 1.0", b"version: 1.0.0", "1.0.0", "frontmatter", False),
        ("version: 1.0.0", b"version: latest", "1.0.0", "frontmatter", True),
        ("version: ''", b"version: 3.0.0", "3.0.0", "skill.yaml", False),
        ("version: ~", b"version: 3.0.0", "3.0.0", "skill.yaml", False),
        ("version: ' 1.0.0 '", None, "1.0.0", "frontmatter", False),
        ("version: 1.10", None, "1.10.0", "frontmatter", False),
        ("version: latest", b"version: 3.0.0", None, "frontmatter", True),
        ("metadata: x", None, "0.0.0+git.0123456789ab", "derived", False),
        ("metadata: [version]", None, "0.0.0+git.0123456789ab", "derived", False),
        ("", None, "0.0.0+git.0123456789ab", "derived", False),
    ],
)
def test_the_first_source_that_states_a_version_counts(
    frontmatter: str, manifest_file: bytes | None, text: str | None, source: str, *, conflicting: bool
) -> None:
    expected = EffectiveVersion(text=text, source=source, conflicting=conflicting)
    assert version(frontmatter, manifest_file) == expected


@pytest.mark.parametrize(
    ("policy", "metadata", "manifest", "nothing"),
    [
        (STRICT, "none", "none", "none"),
        (DECLARED, "metadata", "skill.yaml", "none"),
        (DERIVED, "metadata", "skill.yaml", "derived"),
    ],
)
def test_the_policy_says_after_which_source_the_search_stops(
    policy: VersionPolicy, metadata: str, manifest: str, nothing: str
) -> None:
    assert version("version: 1.0.0", policy=policy).source == "frontmatter"
    assert version("metadata: {version: 2.0.0}", policy=policy).source == metadata
    assert version("", b"version: 3.0.0", policy).source == manifest
    assert version("", policy=policy).source == nothing


def test_strict_does_not_look_at_the_other_sources_for_conflicts_either() -> None:
    assert version(ALL, b"version: 3.0.0", STRICT) == EffectiveVersion(text="1.0.0", source="frontmatter")


def test_a_derived_version_is_valid_semver() -> None:
    assert normal_version(str(version().text)) == version().text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"version: [",
        b"- a",
        b"version: {a: b}",
        b"a: *b",
        b"[" * 5000,
        b"version: 1.0.0\nx: " + b"y" * 20_000,
    ],
)
def test_a_skill_yaml_that_cannot_be_read_names_no_version(data: bytes) -> None:
    assert version("", data).source == "derived"


def test_a_frontmatter_without_anything_is_no_error_here() -> None:
    nothing = Frontmatter(members={}, lines={})
    assert effective_version(nothing, None, TREE, DECLARED) == EffectiveVersion(text=None, source="none")
