"""What every `Source` promises, on real repositories: each adapter passes the same suite.

An adapter joins by one more function in `ADAPTERS`: given a repository, it says how what was committed is published and how
a source on it is opened.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from shared.adapters.clock import SystemClock
from shared.adapters.git_remote import open_source
from shared.adapters.github import GitHub, Repository
from shared.adapters.github_quota import ProcessQuota
from shared.adapters.threads import in_threads
from shared.errors import RejectedError, UnavailableError
from shared.model import BlobId, CommitSha, Kind, Standing
from tests.git_server import GitServer
from tests.github.server import GitHubStandIn
from tests.github.switches import Switches
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from shared.model import TreeEntry
    from shared.ports import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository and how one adapter sees it.

    Attributes:
        repo: Where the test commits.
        publish: Makes the adapter's side an exact mirror, as a force-push does.
        open: Opens a source on a branch; None is the default branch.
        gives_unreachable: Whether commits that no branch leads to any more are still given.
    """

    repo: Repo
    publish: Callable[[], object]
    open: Callable[[str | None], Source]
    gives_unreachable: bool = True


def _open(url: str, branch: str | None) -> Source:
    return open_source(url, branch, tokens=None, seconds=lambda: 30.0)


@contextmanager
def local_with_work_tree(repo: Repo, _: Path) -> Iterator[Place]:
    yield Place(repo=repo, publish=lambda: None, open=lambda branch: _open(str(repo.path), branch))


@contextmanager
def local_bare(repo: Repo, folder: Path) -> Iterator[Place]:
    bare = folder / "bare repo.git"
    url = bare.as_uri()
    yield Place(repo=repo, publish=lambda: repo.mirror(bare), open=lambda branch: _open(url, branch))


@contextmanager
def http_with_filter(repo: Repo, folder: Path) -> Iterator[Place]:
    with _http(repo, folder) as place:
        yield place


@contextmanager
def http_without_filter(repo: Repo, folder: Path) -> Iterator[Place]:
    with _http(repo, folder, allow_filter=False) as place:
        yield place


@contextmanager
def http_protocol_v0(repo: Repo, folder: Path) -> Iterator[Place]:
    with _http(repo, folder, protocol_v2=False) as place:
        yield place


@contextmanager
def _http(repo: Repo, folder: Path, *, protocol_v2: bool = True, allow_filter: bool = True) -> Iterator[Place]:
    with GitServer(folder) as server:
        server.protocol_v2 = protocol_v2
        server.allow_filter = allow_filter
        yield Place(
            repo=repo,
            publish=lambda: repo.mirror(folder / "served.git"),
            open=lambda branch: _open(server.url("served.git"), branch),
            gives_unreachable=protocol_v2,
        )


@contextmanager
def github_rest(repo: Repo, folder: Path) -> Iterator[Place]:
    with _github(repo, folder, Switches()) as place:
        yield place


@contextmanager
def github_rest_truncated(repo: Repo, folder: Path) -> Iterator[Place]:
    with _github(repo, folder, Switches(truncate_trees_above=2)) as place:
        yield place


@contextmanager
def github_refusing_rest(repo: Repo, folder: Path) -> Iterator[Place]:
    with _github(repo, folder, Switches(status=403, status_times=10**9, retry_after=60)) as place:
        yield place


@contextmanager
def _github(repo: Repo, folder: Path, switches: Switches) -> Iterator[Place]:
    with GitHubStandIn(folder / "github") as server:
        server.switches = switches
        clock = SystemClock()
        repository = Repository(api_url=server.api_url, owner="octo", name="skills")
        github = GitHub(repository, quota=ProcessQuota(clock), together=in_threads, clock=clock)
        yield Place(
            repo=repo,
            publish=lambda: server.publish("octo/skills", repo),
            open=lambda branch: github.source(branch, seconds=lambda: 30.0),
        )


ADAPTERS: list[Callable[[Repo, Path], AbstractContextManager[Place]]] = [
    local_with_work_tree,
    local_bare,
    http_with_filter,
    http_without_filter,
    http_protocol_v0,
    github_rest,
    github_rest_truncated,
    github_refusing_rest,
]


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: adapter.__name__)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    request.node.user_properties.append(("adapter", request.param.__name__))
    with request.param(Repo(tmp_path / "origin"), tmp_path) as found:
        yield found


def commit(place: Place, *files: str) -> CommitSha:
    """Commit some files and publish."""
    if files:
        place.repo.write_all({file: f"This is {file}.\n" for file in files})
    made = CommitSha(place.repo.commit())
    place.publish()
    return made


def listing(place: Place) -> dict[str, TreeEntry]:
    source = place.open(None)
    return {entry.path: entry for entry in source.listing(source.head(None))}


# head


def test_head_follows_the_commits(place: Place) -> None:
    first = commit(place, "a")
    source = place.open(None)
    assert source.head(None) == first
    second = commit(place, "b")
    assert source.head(None) == second
    assert place.open(None).head(None) == second


def test_head_after_a_force_push_is_what_was_pushed(place: Place) -> None:
    first = commit(place, "a")
    commit(place, "b")
    source = place.open("main")
    source.head(None)
    place.repo.reset(first)
    place.publish()
    assert source.head(None) == first


def test_head_is_the_same_whether_it_is_known_or_not(place: Place) -> None:
    first = commit(place, "a")
    second = commit(place, "b")
    source = place.open(None)
    assert [source.head(first), source.head(second), source.head(None)] == [second] * 3


def test_no_branch_name_means_the_default_branch(place: Place) -> None:
    commit(place, "a")
    place.repo.switch("trunk")
    trunk = commit(place, "b")
    assert place.open(None).head(None) == trunk
    assert place.open("main").head(None) != trunk


def test_a_branch_is_found_by_its_whole_name_only(place: Place) -> None:
    commit(place, "a")
    place.repo.switch("main-next")
    commit(place, "b")
    place.repo.switch("team/main")
    team = commit(place, "c")
    assert place.open("team/main").head(None) == team
    for name in ("mai", "next", "team", "team/main/x", "refs/heads/main"):
        with pytest.raises(RejectedError, match="BRANCH_NOT_FOUND"):
            place.open(name).head(None)


def test_a_default_branch_without_commits_beside_others_is_a_missing_branch(place: Place) -> None:
    commit(place, "a")
    place.repo.git("branch", "other")
    place.repo.git("symbolic-ref", "HEAD", "refs/heads/unborn")
    place.publish()
    with pytest.raises(RejectedError, match="BRANCH_NOT_FOUND"):
        place.open(None).head(None)


@pytest.mark.parametrize("branch", [None, "main"])
def test_a_repository_without_commits_is_empty(place: Place, branch: str | None) -> None:
    place.publish()
    with pytest.raises(RejectedError, match="REPOSITORY_EMPTY"):
        place.open(branch).head(None)


# listing


def test_listing_is_gits_own_folders_included_in_gits_order(place: Place) -> None:
    commit(place, "skills/b/SKILL.md", "skills/b.md", "skills/a/deep/er/x", "skills-old/a", "z", "Ä")
    raw = place.repo.git("ls-tree", "-r", "-t", "-z", "HEAD")
    source = place.open(None)
    found = [f"{entry.id}\t{entry.path}" for entry in source.listing(source.head(None))]
    assert found == [line.split(" ", 2)[2] for line in raw.split("\0")[:-1]]


def test_folders_carry_their_tree_ids(place: Place) -> None:
    commit(place, "skills/a/SKILL.md", "skills/a/data/x")
    entries = listing(place)
    assert {path for path, entry in entries.items() if entry.kind is Kind.FOLDER} == {
        "skills",
        "skills/a",
        "skills/a/data",
    }
    assert all(entry.id == place.repo.id_of(path) for path, entry in entries.items())


def test_kinds_are_told_apart(place: Place) -> None:
    place.repo.write("plain", "1")
    place.repo.write("tool", "#!/bin/sh\n", executable=True)
    place.repo.symlink("link", "plain")
    place.repo.submodule("vendored", "5" * 40)
    commit(place, "folder/x")
    assert {path: entry.kind for path, entry in listing(place).items()} == {
        "plain": Kind.FILE,
        "tool": Kind.EXECUTABLE,
        "link": Kind.SYMLINK,
        "vendored": Kind.SUBMODULE,
        "folder": Kind.FOLDER,
        "folder/x": Kind.FILE,
    }
    assert listing(place)["vendored"].id == "5" * 40


def test_a_path_that_is_not_utf_8_stands_escaped(place: Place) -> None:
    place.repo.write(b"caf\xe9/\xff.md", "x")
    commit(place)
    assert list(listing(place)) == [r"caf\xe9", r"caf\xe9/\xff.md"]


def test_a_size_is_true_or_not_told(place: Place) -> None:
    place.repo.write("a", "12345")
    commit(place)
    assert listing(place)["a"].size in {5, None}


def test_a_commit_without_files_lists_nothing(place: Place) -> None:
    commit(place)
    assert listing(place) == {}


def test_an_older_commit_is_listed_as_it_was(place: Place) -> None:
    first = commit(place, "a")
    commit(place, "b")
    source = place.open(None)
    assert [entry.path for entry in source.listing(first)] == ["a"]
    assert [entry.path for entry in source.listing(source.head(None))] == ["a", "b"]


# blobs


def test_blobs_are_those_asked_for_and_no_others(place: Place) -> None:
    commit(place, "a", "b", "c")
    source = place.open(None)
    head = source.head(None)
    wanted = [entry for entry in source.listing(head) if entry.path != "b"]
    expected = {BlobId(entry.id): (place.repo.path / entry.path).read_bytes() for entry in wanted}
    assert source.blobs(head, wanted) == expected
    assert source.blobs(head, wanted[:1]) == {BlobId(wanted[0].id): expected[BlobId(wanted[0].id)]}
    assert source.blobs(head, []) == {}


def test_blobs_need_no_listing_by_the_same_source(place: Place) -> None:
    head = commit(place, "a", "b")
    entry = listing(place)["b"]
    assert list(place.open(None).blobs(head, [entry])) == [entry.id]


def test_blobs_of_all_kinds_come_as_their_bytes(place: Place) -> None:
    contents = {"empty": b"", "binary": bytes(range(256)), "crlf": b"a\r\nb\n", "copy": b"a\r\nb\n"}
    place.repo.write(".gitattributes", "* text ident export-subst\n")
    place.repo.write("subst", "$Format:%H$ $Id$\n")
    for path, data in contents.items():
        place.repo.write(path, data)
    place.repo.git("update-index", "--add", "--cacheinfo", f"100644,{_blob(place, b'a' + bytes(3))},raw")
    place.repo.symlink("link", "../outside")
    head = commit(place)
    entries = [entry for entry in place.open(None).listing(head) if entry.path != ".gitattributes"]
    blobs = place.open(None).blobs(head, entries)
    got = {entry.path: blobs[BlobId(entry.id)] for entry in entries}
    assert got["binary"] == contents["binary"]
    assert got["empty"] == b""
    assert got["raw"] == b"a\0\0\0"
    assert got["link"] == b"../outside"
    assert got["subst"] == b"$Format:%H$ $Id$\n"
    assert got["copy"] == got["crlf"]


def test_a_folder_is_not_handed_out_as_a_file(place: Place) -> None:
    head = commit(place, "folder/x")
    folder = listing(place)["folder"]
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        place.open(None).blobs(head, [folder])


def test_objects_stored_as_deltas_are_whole_again(place: Place) -> None:
    text = "".join(f"line {number} of a long file\n" for number in range(5000))
    for number in range(4):
        place.repo.write(f"copies/{number}", text + f"end {number}\n")
    head = commit(place)
    place.repo.git("repack", "-a", "-d", "-q", "--depth=10", "--window=10")
    source = place.open(None)
    entries = [entry for entry in source.listing(head) if entry.kind is Kind.FILE]
    blobs = source.blobs(head, entries)
    assert [blobs[BlobId(entry.id)] for entry in entries] == [f"{text}end {n}\n".encode() for n in range(4)]


def _blob(place: Place, data: bytes) -> str:
    return place.repo.git("hash-object", "-w", "--no-filters", "--stdin", data=data)


# compare


@dataclass(frozen=True, slots=True)
class History:
    """`base - one - merged`, with `side` from `base` merged in; `fork` leaves from `one` on its own branch."""

    base: CommitSha
    one: CommitSha
    side: CommitSha
    merged: CommitSha
    fork: CommitSha


@pytest.fixture
def history(place: Place) -> History:
    base = commit(place, "base")
    place.repo.switch("side")
    side = commit(place, "side")
    place.repo.switch("main")
    one = commit(place, "one")
    place.repo.switch("fork")
    fork = commit(place, "fork")
    place.repo.switch("main")
    merged = CommitSha(place.repo.merge("side"))
    place.publish()
    return History(base=base, one=one, side=side, merged=merged, fork=fork)


STANDINGS = [
    ("base", "base", Standing.IDENTICAL),
    ("base", "one", Standing.AHEAD),
    ("base", "merged", Standing.AHEAD),
    ("one", "merged", Standing.AHEAD),
    ("side", "merged", Standing.AHEAD),
    ("merged", "base", Standing.BEHIND),
    ("merged", "side", Standing.BEHIND),
    ("fork", "one", Standing.BEHIND),
    ("side", "one", Standing.DIVERGED),
    ("fork", "merged", Standing.DIVERGED),
    ("merged", "fork", Standing.DIVERGED),
]


def test_compare_tells_how_head_stands_to_base(place: Place, history: History) -> None:
    source = place.open(None)
    found = [
        (base, head, source.compare(getattr(history, base), getattr(history, head))) for base, head, _ in STANDINGS
    ]
    assert found == STANDINGS


def test_compare_after_a_force_push_never_says_ahead(place: Place) -> None:
    first = commit(place, "a")
    lost = commit(place, "lost")
    place.repo.reset(first)
    place.publish()
    assert place.open(None).compare(lost, first) is (Standing.BEHIND if place.gives_unreachable else Standing.UNKNOWN)
    head = commit(place, "instead")
    assert place.open(None).compare(lost, head) is (Standing.DIVERGED if place.gives_unreachable else Standing.UNKNOWN)


def test_compare_with_a_base_that_nobody_knows_is_unknown(place: Place) -> None:
    head = commit(place, "a")
    for base in ("1" * 40, "0" * 40, "", "HEAD", "é" * 40, "a" * 64, place.repo.id_of(), place.repo.id_of("a")):
        assert place.open(None).compare(CommitSha(base), head) is Standing.UNKNOWN


def test_compare_leaves_the_source_as_it_was(place: Place, history: History) -> None:
    source = place.open(None)
    assert source.compare(history.base, history.merged) is Standing.AHEAD
    assert {entry.path for entry in source.listing(history.merged)} == {"base", "one", "side"}
