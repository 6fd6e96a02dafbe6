"""Trees that GitHub cuts short: walked whole, and on the next commit only where something changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.adapters.github_tree import Listing
from shared.adapters.github_walk import TreeCache
from shared.errors import RejectedError, UnavailableError
from shared.model import CommitSha, Kind, TreeEntry
from tests.adapters.test_github_fake import FakeGitHub, raw, rest, tree
from tests.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path)
    made.write_all({f"skills/{name}/data/{number}": f"{name} {number}" for name in "abcdef" for number in range(4)})
    made.write_all({f"skills/{name}/SKILL.md": name for name in "abcdef"})
    made.write_all({"docs/x": "x", "docs/y": "y", "z": "z", "skills-old/a": "a"})
    made.commit()
    return made


def git_listing(repo: Repo) -> list[tuple[str, str]]:
    lines = raw(repo, "ls-tree", "-r", "-t", "-z", "HEAD").decode().split("\0")[:-1]
    return [(line.partition("\t")[2], line.split()[2]) for line in lines]


def walked(fake: FakeGitHub, repo: Repo, cache: TreeCache | None = None) -> list[TreeEntry]:
    return rest(fake, cache=cache).listing(CommitSha(repo.head))


@pytest.mark.parametrize("largest", [1, 5, 6, 7, 12, 40, 41, 42, 43])
def test_a_walked_listing_is_the_one_that_git_prints(repo: Repo, largest: int) -> None:
    fake = FakeGitHub(repo, largest=largest)
    entries = walked(fake, repo)
    assert [(entry.path, entry.id) for entry in entries] == git_listing(repo)
    assert entries == walked(FakeGitHub(repo), repo)


def test_a_tree_that_fits_costs_one_request(repo: Repo) -> None:
    fake = FakeGitHub(repo)
    walked(fake, repo)
    assert fake.paths == [f"/git/trees/{repo.head}?recursive=1"]


def test_the_second_walk_asks_only_for_what_changed(repo: Repo) -> None:
    fake, cache = FakeGitHub(repo, largest=6), TreeCache()
    walked(fake, repo, cache)
    fake.asked.clear()
    repo.write("skills/c/SKILL.md", "new")
    repo.commit()
    entries = walked(fake, repo, cache)
    assert [(entry.path, entry.id) for entry in entries] == git_listing(repo)
    skills, changed = repo.id_of("skills"), repo.id_of("skills/c")
    assert fake.paths == [
        f"/git/trees/{repo.head}?recursive=1",
        f"/git/trees/{repo.head}",
        f"/git/trees/{skills}?recursive=1",
        f"/git/trees/{skills}",
        f"/git/trees/{changed}?recursive=1",
    ]


def test_folders_with_the_same_content_are_asked_for_once(tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    repo.write_all({f"{name}/{part}": part for name in "abcd" for part in "xyz"})
    repo.commit()
    fake = FakeGitHub(repo, largest=10)
    assert [(entry.path, entry.id) for entry in walked(fake, repo)] == git_listing(repo)
    assert len(fake.asked) == 3


def test_a_folder_that_stands_in_two_depths_is_asked_for_once(tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    repo.write_all({f"{place}/{part}": part for place in ("same", "deep/same", "deep/other") for part in "xyz"})
    repo.write("deep/other/w", "w")
    repo.commit()
    fake = FakeGitHub(repo, largest=4)
    assert [(entry.path, entry.id) for entry in walked(fake, repo, TreeCache(limit=0))] == git_listing(repo)
    assert fake.paths.count(f"/git/trees/{repo.id_of('same')}?recursive=1") == 1


def test_a_walk_that_takes_too_many_requests_is_left_to_the_git_protocol(tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    repo.write_all({f"{number:03}/x": f"{number}" for number in range(299)})
    repo.commit()
    fake = FakeGitHub(repo, largest=500)
    with pytest.raises(UnavailableError, match=r"SOURCE_UNAVAILABLE.*300 requests"):
        walked(fake, repo)
    assert len(fake.asked) == 300


def test_a_folder_that_is_cut_short_by_itself_is_left_to_the_git_protocol(repo: Repo) -> None:
    fake = FakeGitHub(repo, largest=6)
    fake.reply(f"/git/trees/{repo.head}", body={**tree(repo, "HEAD", recursive=False), "truncated": True}, times=2)
    with pytest.raises(UnavailableError, match="SOURCE_UNAVAILABLE"):
        walked(fake, repo)


def test_one_wrong_folder_spoils_the_walk(repo: Repo) -> None:
    fake = FakeGitHub(repo, largest=6)
    other = tree(repo, repo.id_of("docs"), recursive=True)
    fake.reply(repo.id_of("skills-old"), body={**other, "sha": repo.id_of("skills-old")})
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        walked(fake, repo)


def test_a_wrong_folder_is_not_remembered(repo: Repo) -> None:
    fake, cache = FakeGitHub(repo, largest=6), TreeCache()
    fake.reply(repo.id_of("skills/a"), body=tree(repo, repo.id_of("skills/b"), recursive=True))
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        walked(fake, repo, cache)
    assert [(entry.path, entry.id) for entry in walked(fake, repo, cache)] == git_listing(repo)


def test_few_folders_named_many_times_are_too_large() -> None:
    cache = TreeCache()
    for level in range(1, 5):
        inner = str(level + 1) * 40
        entries = tuple(TreeEntry(path=f"{number:02}", kind=Kind.FOLDER, id=inner) for number in range(20))
        cache.put(str(level) * 40, Listing(entries=entries, complete=False))
    cache.put("5" * 40, listing(1))
    commit = CommitSha("c" * 40)
    fake = FakeGitHub()
    fake.reply("recursive=1", body={"sha": commit, "tree": [], "truncated": True})
    top = {"path": "a", "mode": "040000", "type": "tree", "sha": "1" * 40}
    fake.reply(f"/git/trees/{commit}", body={"sha": commit, "tree": [top], "truncated": False})
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        rest(fake, cache=cache).listing(commit)


# the cache


def listing(count: int) -> Listing:
    entries = tuple(TreeEntry(path=str(number), kind=Kind.FILE, id="1" * 40) for number in range(count))
    return Listing(entries=entries, complete=True)


def test_the_cache_forgets_what_was_used_longest_ago() -> None:
    cache = TreeCache(limit=10)
    for name in "abc":
        cache.put(name, listing(3))
    assert cache.get("a") == listing(3)
    cache.put("d", listing(3))
    assert [name for name in "abcd" if cache.get(name)] == ["a", "c", "d"]


def test_empty_folders_count_too() -> None:
    cache = TreeCache(limit=10)
    for number in range(100):
        cache.put(str(number), listing(0))
    assert sum(cache.get(str(number)) is not None for number in range(100)) == 10


def test_a_folder_that_is_known_counts_once() -> None:
    cache = TreeCache(limit=4)
    cache.put("a", listing(2))
    cache.put("b", listing(2))
    cache.put("a", listing(2))
    assert cache.get("b") is not None


def test_a_folder_larger_than_the_cache_is_not_kept() -> None:
    cache = TreeCache(limit=4)
    cache.put("a", listing(5))
    assert cache.get("a") is None
    cache.put("b", listing(4))
    assert cache.get("b") is not None
