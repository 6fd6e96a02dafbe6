"""A listing is taken only when git's own hashes say that it is the right one."""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.git_remote import open_source
from shared.adapters.github_tree import Listing, MalformedTreeError, is_id, parse_listing
from shared.errors import RejectedError
from shared.model import CommitSha, Kind
from tests.adapters.test_github_fake import tree
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable

EMPTY = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
COMMIT = "c" * 40
Document = dict[str, Any]


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    made = Repo(tmp_path_factory.mktemp("origin"))
    files = [
        "skills/b/SKILL.md",
        "skills/b.md",
        "skills/a/deep/er/x",
        "skills-old/a",
        "z",
        "Ä/ß",
        "a b",
        "skills/b-1/x",
    ]
    made.write_all({file: f"This is {file}.\n" for file in files})
    made.write("tool", "#!/bin/sh\n", executable=True)
    made.symlink("skills/link", "../z")
    made.submodule("skills/vendored", "5" * 40)
    made.commit()
    return made


@pytest.fixture
def document(repo: Repo) -> Document:
    return tree(repo, "HEAD", recursive=True)


def parse(document: Document, *, asked: str = COMMIT, is_commit: bool = True, recursive: bool = True) -> Listing:
    return parse_listing(document, asked=asked, is_commit=is_commit, recursive=recursive)


def entry(document: Document, path: str) -> Document:
    return next(item for item in document["tree"] if item["path"] == path)


def test_a_listing_is_the_one_that_the_git_protocol_gives_with_sizes(repo: Repo, document: Document) -> None:
    expected = open_source(str(repo.path), None, tokens=None, seconds=lambda: 30.0).listing(CommitSha(repo.head))
    found = parse(document)
    assert found.complete
    assert [(item.path, item.kind, item.id) for item in found.entries] == [
        (item.path, item.kind, item.id) for item in expected
    ]
    sizes = {item.path: item.size for item in found.entries}
    assert sizes["z"] == len("This is z.\n")
    assert [path for path, size in sizes.items() if size is None] == [
        item.path for item in found.entries if item.kind in {Kind.FOLDER, Kind.SUBMODULE}
    ]


def test_the_order_is_gits_whatever_the_answers_order_is(document: Document) -> None:
    shuffled = {**document, "tree": document["tree"][::-1]}
    assert parse(shuffled) == parse(document)


def test_an_empty_tree_has_its_own_hash() -> None:
    assert parse({"sha": EMPTY, "tree": [], "truncated": False}).entries == ()


def test_the_commits_own_id_in_place_of_the_trees_is_accepted(repo: Repo, document: Document) -> None:
    assert parse({**document, "sha": repo.head}, asked=repo.head).complete


def test_a_folders_whole_must_be_what_was_asked_for(repo: Repo) -> None:
    skills, old = repo.id_of("skills"), repo.id_of("skills-old")
    assert parse(tree(repo, skills, recursive=True), asked=skills, is_commit=False).complete
    assert parse(tree(repo, skills, recursive=False), asked=skills, is_commit=False, recursive=False).complete
    with pytest.raises(MalformedTreeError):
        parse(tree(repo, old, recursive=True), asked=skills, is_commit=False)
    with pytest.raises(MalformedTreeError):
        parse({**tree(repo, old, recursive=True), "sha": skills}, asked=skills, is_commit=False)


def test_of_a_listing_that_was_cut_short_nothing_is_believed(document: Document) -> None:
    document["truncated"] = True
    assert parse(document) == Listing(entries=(), complete=False)


def put(at: str, **changes: object) -> Callable[[Document], object]:
    return lambda document: entry(document, at).update(changes)


def drop(path: str) -> Callable[[Document], object]:
    return lambda document: document["tree"].remove(entry(document, path))


def add(**item: object) -> Callable[[Document], object]:
    return lambda document: document["tree"].append(
        {"mode": "100644", "type": "blob", "sha": "1" * 40, "size": 1, **item}
    )


def top(**changes: object) -> Callable[[Document], object]:
    return lambda document: document.update(changes)


def double(path: str) -> Callable[[Document], object]:
    return lambda document: document["tree"].append(copy.deepcopy(entry(document, path)))


TAMPERED: dict[str, Callable[[Document], object]] = {
    "another content": put("skills/b/SKILL.md", sha="1" * 40),
    "another content at the root": put("z", sha="1" * 40),
    "another folder": put("skills/b", sha="1" * 40),
    "another submodule": put("skills/vendored", sha="6" * 40),
    "an executable": put("skills/b/SKILL.md", mode="100755"),
    "a link as file": put("skills/link", mode="100644"),
    "another name": put("skills/b/SKILL.md", path="skills/b/Skill.md"),
    "a file missing": drop("skills/b/SKILL.md"),
    "a file missing deep down": drop("skills/a/deep/er/x"),
    "a file missing at the root": drop("z"),
    "a folder missing": drop("skills/a/deep"),
    "one more file": add(path="skills/b/more"),
    "one more file at the root": add(path="more"),
    "one more folder": add(path="more", mode="040000", type="tree", sha=EMPTY),
    "a file below a file": add(path="z/x"),
    "a file below nothing": add(path="nowhere/x"),
    "a file below a submodule": add(path="skills/vendored/x"),
    "twice": double("z"),
    "a folder twice": double("skills/b"),
    "a file beside a folder of its name": add(path="skills"),
    "dots": put("z", path=".."),
    "a dot": put("z", path="."),
    "a way out": add(path="skills/../z"),
    "a root": put("z", path="/z"),
    "an empty name": put("z", path=""),
    "an empty segment": put("skills/b/SKILL.md", path="skills//SKILL.md"),
    "a slash at the end": put("z", path="z/"),
    "a zero byte": put("z", path="z\0"),
    "a lone surrogate": put("z", path="z\ud800"),
    "a mode that is none": put("z", mode="100600"),
    "a mode that is a number": put("z", mode=100644),
    "a mode of git's": put("skills", mode="40000"),
    "a type that does not fit": put("z", type="tree"),
    "a folder that is a file": put("skills", type="blob"),
    "no type": put("z", type=None),
    "an id too short": put("z", sha="1" * 39),
    "an id in capitals": put("z", sha="A" * 40),
    "an id with a newline": put("z", sha="1" * 40 + "\n"),
    "an id that is a number": put("z", sha=1),
    "a size below zero": put("z", size=-1),
    "a size that is a text": put("z", size="11"),
    "a size that is true": put("z", size=True),
    "a size that is broken": put("z", size=1.5),
    "a path that is a list": put("z", path=["z"]),
    "no path": put("z", path=None),
    "an entry that is null": lambda document: document["tree"].append(None),
    "an entry that is a list": lambda document: document["tree"].append([]),
    "no entries": top(tree=[]),
    "null entries": top(tree=None),
    "an object of entries": top(tree={}),
    "another root": top(sha="1" * 40),
    "a root that is none": top(sha=None),
    "a root of zeros": top(sha="0" * 40),
    "no word about truncation": top(truncated=None),
    "a number about truncation": top(truncated=0),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_listing_that_was_tampered_with_is_refused(document: Document, name: str) -> None:
    parse(document)
    TAMPERED[name](document)
    with pytest.raises(MalformedTreeError):
        parse(document)


def test_a_folders_own_entries_alone_may_not_reach_deeper(repo: Repo) -> None:
    own = tree(repo, "HEAD", recursive=False)
    assert parse(own, recursive=False).complete
    deep = next(item for item in tree(repo, "HEAD", recursive=True)["tree"] if item["path"] == "skills/b.md")
    own["tree"].append(deep)
    with pytest.raises(MalformedTreeError):
        parse(own, recursive=False)


FILE_LINE = b"100644 a\0" + bytes.fromhex("1" * 40)
FOLDER_LINE = b"40000 a\0" + bytes.fromhex(EMPTY)
FILE_ENTRY = {"path": "a", "mode": "100644", "type": "blob", "sha": "1" * 40}
FOLDER_ENTRY = {"path": "a", "mode": "040000", "type": "tree", "sha": EMPTY}


@pytest.mark.parametrize(
    ("lines", "entries"),
    [
        (FILE_LINE + FILE_LINE, [FILE_ENTRY, FILE_ENTRY]),
        (FILE_LINE + FOLDER_LINE, [FILE_ENTRY, FOLDER_ENTRY]),
        (FOLDER_LINE + FOLDER_LINE, [FOLDER_ENTRY, FOLDER_ENTRY]),
    ],
)
def test_a_name_that_stands_twice_is_refused_also_where_the_hash_is_right(
    lines: bytes, entries: list[Document]
) -> None:
    sha = hashlib.sha1(b"tree %d\0" % len(lines) + lines, usedforsecurity=False).hexdigest()
    with pytest.raises(MalformedTreeError, match="twice"):
        parse({"sha": sha, "tree": entries, "truncated": False})


def test_too_many_entries_are_refused_for_good() -> None:
    many = [{"path": str(number), "mode": "100644", "type": "blob", "sha": "1" * 40} for number in range(100_001)]
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        parse({"sha": COMMIT, "tree": many, "truncated": False})


@pytest.mark.parametrize(("text", "right"), [("a" * 40, True), ("0" * 40, False), ("a" * 41, False), ("A" * 40, False)])
def test_an_id_is_forty_small_hex_digits_not_all_zero(text: str, right: object) -> None:
    assert is_id(text) is right


IDS = st.sampled_from([EMPTY, "1" * 40, COMMIT, "0" * 40, "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | IDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries(
    {
        "path": st.text("ab/.\0\ud800ä", max_size=5) | JSON,
        "mode": st.sampled_from(["100644", "100755", "040000", "120000", "160000", "40000"]) | JSON,
        "type": st.sampled_from(["blob", "tree", "commit"]) | JSON,
        "sha": IDS | JSON,
    },
    optional={"size": st.integers(-1, 5) | JSON},
)


@given(
    document=st.dictionaries(st.sampled_from(["sha", "tree", "truncated"]), JSON)
    | st.fixed_dictionaries(
        {"sha": IDS, "tree": st.lists(ENTRY | JSON, max_size=6), "truncated": st.booleans() | JSON}
    ),
    recursive=st.booleans(),
)
def test_garbage_gives_a_refusal_or_entries_with_proper_paths(document: Document, recursive: bool) -> None:  # noqa: FBT001
    try:
        found = parse(document, recursive=recursive)
    except MalformedTreeError:
        return
    for item in found.entries:
        assert all(segment not in {"", ".", ".."} for segment in item.path.split("/"))
        assert len(bytes.fromhex(item.id)) == 20
