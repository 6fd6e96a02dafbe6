from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.paths import MAX_PATH_BYTES, MAX_SEGMENTS, check_path, collides

SAFE = [
    "SKILL.md",
    "a",
    "scripts/run.sh",
    ".hidden/.gitignore",
    ".github/workflows/ci.yml",
    "a b/c (1).md",
    "...a",
    "a..b",
    "~a",
    "-rf",
    "é/日本語/ß.md",
    "emoji-👩‍🚀.md",
    "con-fig/console/auxiliary/null/com10/com/lpt",
    "com0",
    "ab:c",
    "$HOME/%TEMP%/*?",
    "x" * MAX_PATH_BYTES,
    "é" * (MAX_PATH_BYTES // 2),
    "/".join("a" * MAX_SEGMENTS),
]

UNSAFE = [
    ("", "empty segment"),
    ("a/", "empty segment"),
    ("a//b", "empty segment"),
    ("/", "absolute path"),
    ("/etc/passwd", "absolute path"),
    ("//server/share", "absolute path"),
    (".", "dot segment"),
    ("..", "dot segment"),
    ("./a", "dot segment"),
    ("a/.", "dot segment"),
    ("a/../../b", "dot segment"),
    (".git", "a git folder"),
    ("a/.git/hooks/post-checkout", "a git folder"),
    (".GIT/config", "a git folder"),
    ("a/.gIt", "a git folder"),
    ("a\\b", "backslash"),
    ("..\\b", "backslash"),
    ("\\\\server\\share", "backslash"),
    ("a\\xffb", "backslash"),
    ("a\0b", "control character"),
    ("a\nb", "control character"),
    ("a\n", "control character"),
    ("a\x1b[2Jb", "control character"),
    ("a\x1f", "control character"),
    ("a\x7f", "control character"),
    ("a\x80", "control character"),
    ("a\x9f", "control character"),
    ("C:", "drive letter"),
    ("c:/windows", "drive letter"),
    ("a/z:b", "drive letter"),
    ("con", "device name on Windows"),
    ("CON.txt", "device name on Windows"),
    ("a/NuL/b", "device name on Windows"),
    ("aux.tar.gz", "device name on Windows"),
    ("prn .md", "device name on Windows"),
    ("com1", "device name on Windows"),
    ("COM9.md", "device name on Windows"),
    ("com¹", "device name on Windows"),
    ("lpt1.x", "device name on Windows"),
    ("LPT³", "device name on Windows"),
    ("CONIN$", "device name on Windows"),
    ("e\u0301.md", "not in Unicode form NFC"),
    ("\u212b", "not in Unicode form NFC"),
    ("a.", "segment ends with a dot or space"),
    ("a./b", "segment ends with a dot or space"),
    ("...", "segment ends with a dot or space"),
    ("a /b", "segment ends with a dot or space"),
    (" ", "segment ends with a dot or space"),
    (".git ", "segment ends with a dot or space"),
    ("a\ud800", "not valid Unicode"),
    ("x" * (MAX_PATH_BYTES + 1), "longer than 240 bytes"),
    ("é" * (MAX_PATH_BYTES // 2) + "x", "longer than 240 bytes"),
    ("/".join("a" * (MAX_SEGMENTS + 1)), "more than 16 segments"),
    ("/" * 10_000_000, "longer than 240 bytes"),
]

COLLISIONS = [
    (["a", "a"], "a", "given twice"),
    (["README.md", "readme.md"], "readme.md", "differs from 'README.md' only in case or Unicode form"),
    (["a/B", "a/b"], "a/b", "differs from 'a/B' only in case or Unicode form"),
    (["STRASSE", "straße"], "straße", "differs from 'STRASSE' only in case or Unicode form"),
    (["e\u0301", "é"], "é", "differs from 'e\u0301' only in case or Unicode form"),
    (["\u0390", "\u03aa\u0301"], "\u03aa\u0301", "differs from '\u0390' only in case or Unicode form"),
    (["a", "a/b"], "a/b", "needs a folder where 'a' is a file"),
    (["x/A", "x/a/b/c"], "x/a/b/c", "needs a folder where 'x/A' is a file"),
    (["b", "a/c", "B/c"], "B/c", "needs a folder where 'b' is a file"),
]

TOGETHER = [[], ["a"], ["a", "b"], ["a/b", "a/c"], ["a", "ab", "a.b", "a-b"], ["a/b", "b/a"], ["Docs/a", "docs/b"]]


@pytest.mark.parametrize("path", SAFE)
def test_safe_path_has_no_fault(path: str) -> None:
    assert check_path(path) is None


@pytest.mark.parametrize(("path", "reason"), UNSAFE, ids=[ascii(path)[:30] for path, _ in UNSAFE])
def test_unsafe_path_is_told_with_its_reason(path: str, reason: str) -> None:
    assert check_path(path) == reason


@given(st.text())
@settings(deadline=None)
def test_any_text_gets_an_answer_and_a_safe_one_has_only_safe_segments(path: str) -> None:
    if check_path(path) is None:
        assert all(check_path(segment) is None for segment in path.split("/"))


@pytest.mark.parametrize(("paths", "at_fault", "reason"), COLLISIONS)
def test_colliding_paths_are_found_in_any_order(paths: list[str], at_fault: str, reason: str) -> None:
    for order in itertools.permutations(paths):
        assert collides(order) == (at_fault, reason)


@pytest.mark.parametrize("paths", TOGETHER)
def test_paths_that_fit_side_by_side_do_not_collide(paths: list[str]) -> None:
    assert collides(paths) is None


@given(st.lists(st.text("aAbé/", min_size=1, max_size=6), max_size=8), st.randoms())
@settings(deadline=None)
def test_the_answer_does_not_depend_on_the_order(paths: list[str], shuffle: object) -> None:
    shuffled = list(paths)
    shuffle.shuffle(shuffled)
    assert collides(shuffled) == collides(paths)
