"""The source on GitHub's REST API: which request is sent, what each answer means, and that nothing wrong is handed out."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.github_faults import ForbiddenError
from shared.adapters.github_quota import ProcessQuota
from shared.core.git_objects import blob_id
from shared.errors import RejectedError, SkillSyncError, UnavailableError
from shared.model import BlobId, CommitSha, Kind, Standing, TreeEntry
from tests.adapters.test_github_fake import CODELOAD, TOKEN, FakeGitHub, answer, archive, rest
from tests.adapters.test_github_tarball import packed
from tests.fakes.clock import FakeClock
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SHA = CommitSha("5" * 40)
OTHER = CommitSha("6" * 40)
MIB = 2**20


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path)
    made.write_all({f"skills/{number:03}/SKILL.md": f"{number}\n" for number in range(70)})
    made.commit()
    return made


def scripted(match: str, status: int = 200, body: object = b"", headers: dict[str, str] | None = None) -> FakeGitHub:
    fake = FakeGitHub()
    fake.reply(match, status, body, headers, times=9)
    return fake


def files(repo: Repo, **options: Any) -> list[TreeEntry]:  # noqa: ANN401 - passed on as they are
    source = rest(FakeGitHub(repo), **options)
    return [entry for entry in source.listing(CommitSha(repo.head)) if entry.kind is Kind.FILE]


def contents(repo: Repo, entries: list[TreeEntry]) -> dict[BlobId, bytes]:
    return {BlobId(entry.id): (repo.path / entry.path).read_bytes() for entry in entries}


# head


@pytest.mark.parametrize(
    ("branch", "path"),
    [
        (None, "/commits/HEAD"),
        ("main", "/commits/heads/main"),
        ("team/über #1?", "/commits/heads/team/%C3%BCber%20%231%3F"),
        ("100%25", "/commits/heads/100%2525"),
        ("a;b&c=d", "/commits/heads/a%3Bb%26c%3Dd"),
    ],
)
def test_the_head_is_asked_for_by_the_whole_name_of_the_branch(branch: str | None, path: str) -> None:
    fake = scripted("/commits/", 200, SHA.encode())
    assert rest(fake, branch).head(None) == SHA
    assert fake.paths == [path]
    assert fake.asked[0].headers["Accept"] == "application/vnd.github.sha"
    assert "If-None-Match" not in fake.asked[0].headers


@pytest.mark.parametrize("branch", ["", "..", "../../x", "a/../../../user", "a//b", "/a", "a/", "a/./b"])
def test_a_name_that_would_lead_elsewhere_is_no_branch(branch: str) -> None:
    fake = FakeGitHub()
    with pytest.raises(RejectedError, match="BRANCH_NOT_FOUND"):
        rest(fake, branch).head(None)
    assert fake.asked == []


def test_the_known_head_is_the_entity_tag(repo: Repo) -> None:
    fake = FakeGitHub(repo)
    assert rest(fake).head(CommitSha(repo.head)) == repo.head
    assert rest(fake).head(OTHER) == repo.head
    assert [request.headers["If-None-Match"] for request in fake.asked] == [f'"{repo.head}"', f'"{OTHER}"']


def test_not_modified_without_a_known_head_is_no_answer() -> None:
    with pytest.raises(UnavailableError, match="SOURCE_UNAVAILABLE"):
        rest(scripted("/commits/", 304)).head(None)


@pytest.mark.parametrize("known", ["", "main", "x" * 40, '"', "1" * 39, "0" * 40])
def test_a_known_head_that_is_no_id_is_not_sent(known: str) -> None:
    fake = scripted("/commits/", 200, SHA.encode())
    assert rest(fake).head(CommitSha(known)) == SHA
    assert "If-None-Match" not in fake.asked[0].headers


@pytest.mark.parametrize(
    "body", [b"", b"5" * 39, b"5" * 41, b"5" * 40 + b"\n", b"A" * 40, b"0" * 40, b"\xff" * 40, b"{}"]
)
def test_a_head_that_is_no_id_is_corrupt(body: bytes) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(scripted("/commits/", 200, body)).head(None)


def test_a_head_may_not_be_a_novel() -> None:
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        rest(scripted("/commits/", 200, b"5" * 129)).head(None)


STATUSES: list[tuple[int, dict[str, str], type[SkillSyncError], str]] = [
    (301, {"Location": "https://api.github.com/repositories/1"}, RejectedError, "SOURCE_MOVED"),
    (302, {"Location": "https://api.github.com/repositories/1"}, RejectedError, "SOURCE_MOVED"),
    (303, {}, RejectedError, "SOURCE_MOVED"),
    (307, {}, RejectedError, "SOURCE_MOVED"),
    (308, {}, RejectedError, "SOURCE_MOVED"),
    (401, {}, RejectedError, "SOURCE_DENIED"),
    (403, {}, ForbiddenError, "SOURCE_DENIED"),
    (404, {}, RejectedError, "SOURCE_NOT_FOUND"),
    (409, {}, RejectedError, "REPOSITORY_EMPTY"),
    (410, {}, RejectedError, "SOURCE_NOT_FOUND"),
    (422, {}, RejectedError, "BRANCH_NOT_FOUND"),
    (451, {}, RejectedError, "SOURCE_DENIED"),
    (403, {"Retry-After": "60"}, UnavailableError, "SOURCE_RATE_LIMITED"),
    (403, {"X-RateLimit-Remaining": "0"}, UnavailableError, "SOURCE_RATE_LIMITED"),
    (429, {}, UnavailableError, "SOURCE_RATE_LIMITED"),
    (201, {}, UnavailableError, "SOURCE_UNAVAILABLE"),
    (204, {}, UnavailableError, "SOURCE_UNAVAILABLE"),
    (400, {}, UnavailableError, "SOURCE_UNAVAILABLE"),
    (418, {}, UnavailableError, "SOURCE_UNAVAILABLE"),
    (500, {}, UnavailableError, "SOURCE_UNAVAILABLE"),
    (503, {}, UnavailableError, "SOURCE_UNAVAILABLE"),
]


@pytest.mark.parametrize(("status", "headers", "error", "code"), STATUSES)
def test_what_each_status_of_the_head_means(
    status: int, headers: dict[str, str], error: type[SkillSyncError], code: str
) -> None:
    fake = scripted("/commits/", status, b"hunter2", headers)
    with pytest.raises(error, match=code) as caught:
        rest(fake, tokens=[TOKEN]).head(SHA)
    assert type(caught.value) is error
    assert len(fake.asked) == (3 if status in {500, 503} else 1)
    assert {request.url.host for request in fake.asked} == {"api.github.com"}
    assert "hunter2" not in str(caught.value)
    assert TOKEN not in str(caught.value)


# rate limits, across sources of one process


def test_a_limit_that_one_source_met_holds_for_the_next_until_it_is_over() -> None:
    clock = FakeClock()
    quota = ProcessQuota(clock)
    fake = FakeGitHub()
    fake.reply("/commits/", 429, b"", {"Retry-After": "30"})
    fake.reply("/commits/", 200, SHA.encode())
    for _ in range(3):
        with pytest.raises(UnavailableError, match="SOURCE_RATE_LIMITED") as caught:
            rest(fake, clock=clock, quota=quota).head(None)
        assert caught.value.retry_after_seconds == 30
    assert len(fake.asked) == 1
    clock.move(30)
    assert rest(fake, clock=clock, quota=quota).head(None) == SHA


def test_the_last_request_that_is_allowed_is_answered_and_no_other_sent() -> None:
    clock = FakeClock()
    fake = FakeGitHub()
    reset = str(int(clock.now().timestamp()) + 600)
    fake.reply("/commits/", 200, SHA.encode(), {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})
    source = rest(fake, clock=clock)
    assert source.head(None) == SHA
    with pytest.raises(UnavailableError, match="SOURCE_RATE_LIMITED") as caught:
        source.listing(SHA)
    assert caught.value.retry_after_seconds == 600
    assert len(fake.asked) == 1


def test_a_link_that_was_the_last_request_allowed_is_still_followed(repo: Repo) -> None:
    clock = FakeClock()
    reset = str(int(clock.now().timestamp()) + 600)
    fake = FakeGitHub(repo)
    entries = files(repo)
    headers = {"Location": CODELOAD, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    fake.reply("/tarball/", 302, b"", headers)
    assert len(rest(fake, clock=clock).blobs(CommitSha(repo.head), entries)) == 70


# listing


@pytest.mark.parametrize("status", [404, 410, 422])
def test_a_commit_that_is_not_there_is_left_to_the_git_protocol(status: int) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(scripted("/git/trees/", status)).listing(SHA)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"null", b"{", b"{}", b'{"sha":1}', b"[" * 9999, b"\xff", b'{"tree":[],"tree":[]}', b'{"a":NaN}'],
)
def test_a_listing_that_cannot_be_read_is_corrupt(body: bytes) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(scripted("/git/trees/", 200, body)).listing(SHA)


@pytest.mark.parametrize("commit", ["", "..", "HEAD", "5" * 39, "5" * 40 + "?x", "../../../user"])
def test_only_ids_are_put_into_addresses(commit: str) -> None:
    fake = FakeGitHub()
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(fake).listing(CommitSha(commit))
    many = [file(str(number), f"{number:040x}") for number in range(1, 99)]
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(fake).blobs(CommitSha(commit), many)
    assert fake.asked == []


@given(
    body=st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), st.lists).map(lambda value: json.dumps(value).encode())
)
def test_garbage_in_place_of_a_listing_is_one_of_our_errors(body: bytes) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(scripted("/git/trees/", 200, body)).listing(SHA)


def test_a_listing_may_not_be_larger_than_its_cap() -> None:
    fake = FakeGitHub()
    served = 0

    def endless() -> Iterator[bytes]:
        nonlocal served
        while True:
            served += MIB
            yield bytes(MIB)

    fake.do("/git/trees/", lambda _: httpx.Response(200, stream=_Stream(endless)))
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        rest(fake).listing(SHA)
    assert served == 33 * MIB


class _Stream(httpx.SyncByteStream):
    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces()


# blobs, one by one


def file(path: str, name: str, size: int | None = None) -> TreeEntry:
    return TreeEntry(path=path, kind=Kind.FILE, id=name, size=size)


def test_few_contents_are_asked_for_one_by_one_and_each_once(repo: Repo) -> None:
    entries = files(repo)[:64]
    fake = FakeGitHub(repo)
    double = [*entries, replace(entries[0], path="copy")]
    assert rest(fake).blobs(CommitSha(repo.head), double) == contents(repo, entries)
    assert sorted(fake.paths) == sorted(f"/git/blobs/{entry.id}" for entry in entries)
    assert {request.headers["Accept"] for request in fake.asked} == {"application/vnd.github.raw+json"}


def test_contents_are_asked_for_eight_at_once(repo: Repo) -> None:
    fake = FakeGitHub(repo, meeting=threading.Barrier(8))
    entries = files(repo)[:64]
    assert len(rest(fake).blobs(CommitSha(repo.head), entries)) == 64
    assert fake.most_at_once == 8


def test_no_entries_cost_no_request() -> None:
    assert rest(FakeGitHub()).blobs(SHA, []) == {}


def test_a_content_with_another_hash_is_asked_for_once_more(repo: Repo) -> None:
    entry = files(repo)[0]
    fake = FakeGitHub(repo)
    fake.reply(entry.id, 200, b"wrong")
    assert rest(fake).blobs(SHA, [entry]) == contents(repo, [entry])
    fake.reply(entry.id, 200, b"wrong", times=2)
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(fake).blobs(SHA, [entry])


@pytest.mark.parametrize("status", [404, 422])
def test_a_content_that_is_not_there_is_corrupt(status: int) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(scripted("/git/blobs/", status)).blobs(SHA, [file("a", "1" * 40)])


@pytest.mark.parametrize("kind", [Kind.FOLDER, Kind.SUBMODULE])
def test_what_is_no_file_has_no_content(kind: Kind) -> None:
    fake = FakeGitHub()
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(fake).blobs(SHA, [TreeEntry(path="a", kind=kind, id="1" * 40)])
    assert fake.asked == []


def test_an_entry_whose_id_is_none_is_not_asked_for() -> None:
    fake = FakeGitHub()
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(fake).blobs(SHA, [file("a", "../../../../user")])
    assert fake.asked == []


def test_contents_that_are_known_to_be_too_large_are_not_asked_for() -> None:
    fake = FakeGitHub()
    entries = [file(str(number), f"{number:040x}", 33 * MIB) for number in (1, 2)]
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        rest(fake).blobs(SHA, entries)
    assert fake.asked == []


def test_contents_of_unknown_size_share_one_cap() -> None:
    fake = FakeGitHub()
    served = []

    def large() -> Iterator[bytes]:
        for _ in range(40):
            served.append(MIB)
            yield bytes(MIB)

    fake.do("/git/blobs/", lambda _: httpx.Response(200, stream=_Stream(large)), times=99)
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        rest(fake).blobs(SHA, [file(str(number), f"{number:040x}") for number in range(1, 9)])
    assert sum(served) <= (64 + 8) * MIB


# blobs, by the archive


def headers_seen(fake: FakeGitHub, host: str) -> set[str]:
    return {name for request in fake.asked if request.url.host == host for name in request.headers}


def test_many_contents_come_by_the_archive_in_two_requests(repo: Repo) -> None:
    fake = FakeGitHub(repo)
    entries = files(repo)
    assert rest(fake, tokens=[TOKEN]).blobs(CommitSha(repo.head), entries) == contents(repo, entries)
    assert [str(request.url) for request in fake.asked] == [
        f"https://api.github.com/repos/octo/skills/tarball/{repo.head}",
        CODELOAD,
    ]


def test_the_token_is_sent_to_the_api_and_never_to_the_download_host(repo: Repo) -> None:
    fake = FakeGitHub(repo)
    rest(fake, tokens=[TOKEN]).blobs(CommitSha(repo.head), files(repo))
    assert "authorization" in headers_seen(fake, "api.github.com")
    assert headers_seen(fake, "codeload.github.com") <= {
        "host",
        "accept",
        "accept-encoding",
        "connection",
        "user-agent",
    }
    assert TOKEN not in repr(fake.asked[1].headers.raw) + str(fake.asked[1].url)
    assert fake.asked[1].headers["Accept-Encoding"] == "identity"


def test_what_the_archive_lacks_or_changes_comes_one_by_one(repo: Repo) -> None:
    repo.write(".gitattributes", "subst export-subst\nident ident\ncrlf text eol=crlf\nleft-out export-ignore\n")
    changed = {"subst": "$Format:%H$\n", "ident": "$Id$\n", "crlf": "a\nb\n", "left-out": "x"}
    repo.write_all(changed)
    repo.commit()
    entries = files(repo)
    fake = FakeGitHub(repo)
    found = rest(fake).blobs(CommitSha(repo.head), entries)
    assert {name: found[BlobId(repo.id_of(name))].decode() for name in changed} == changed
    assert len(found) == 75
    assert sorted(fake.paths[2:]) == sorted(f"/git/blobs/{repo.id_of(name)}" for name in changed)


def test_an_archive_of_something_else_gives_nothing_wrong(repo: Repo, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Repo(tmp_path_factory.mktemp("other"))
    other.write_all({f"skills/{number:03}/SKILL.md": "evil\n" for number in range(70)})
    other.commit()
    fake = FakeGitHub(repo)
    fake.reply(CODELOAD, 200, archive(other))
    entries = files(repo)
    assert rest(fake).blobs(CommitSha(repo.head), entries) == contents(repo, entries)
    assert len(fake.asked) == 2 + 70


def test_an_archive_that_lacks_nearly_all_is_left_to_the_git_protocol(repo: Repo) -> None:
    fake = FakeGitHub(repo)
    with pytest.raises(UnavailableError, match=r"SOURCE_UNAVAILABLE.*300 requests"):
        rest(fake).blobs(CommitSha(repo.head), [file(str(number), f"{number:040x}") for number in range(1, 302)])
    assert len(fake.asked) == 2


LINKS = [
    "https://evil.example/o/n.tar.gz",
    "http://codeload.github.com/octo/skills/legacy.tar.gz/main",
    "https://codeload.github.com:444/octo/skills/legacy.tar.gz/main",
    "https://codeload.github.com.evil.example/x",
    "https://codeload.github.com@evil.example/x",
    "https://user:password@codeload.github.com/x",
    "https://codeload.github.com\\@evil.example/x",
    "https://api.github.com/repos/octo/skills/tarball",
    "https://codeload.evil.example/x",
    "//evil.example/x",
    "/relative",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("location", LINKS)
def test_a_link_to_anywhere_else_is_not_followed(repo: Repo, location: str) -> None:
    fake = FakeGitHub(repo, link=location)
    with pytest.raises(UnavailableError, match=r"SOURCE_CORRUPT.*another address") as caught:
        rest(fake, tokens=[TOKEN]).blobs(CommitSha(repo.head), files(repo))
    assert len(fake.asked) == 1
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize(
    "location", ["https://github.com/x", "https://codeload.github.com:443/x", "HTTPS://CodeLoad.GitHub.com/x"]
)
def test_links_to_the_git_host_and_its_codeload_are_followed(repo: Repo, location: str) -> None:
    fake = FakeGitHub(repo, link=location)
    fake.reply("/x", 200, archive(repo))
    assert len(rest(fake).blobs(CommitSha(repo.head), files(repo))) == 70


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_second_redirect_is_not_followed(repo: Repo, status: int) -> None:
    fake = FakeGitHub(repo)
    fake.reply(CODELOAD, status, b"", {"Location": CODELOAD})
    with pytest.raises(UnavailableError, match=r"SOURCE_CORRUPT.*another address"):
        rest(fake, tokens=[TOKEN]).blobs(CommitSha(repo.head), files(repo))
    assert len(fake.asked) == 2


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_repository_that_has_moved_has_no_archive_here(repo: Repo, status: int) -> None:
    fake = FakeGitHub(repo)
    fake.reply("/tarball/", status, b"", {"Location": CODELOAD})
    with pytest.raises(RejectedError, match="SOURCE_MOVED"):
        rest(fake).blobs(CommitSha(repo.head), files(repo))


def test_an_answer_without_a_link_is_corrupt(repo: Repo) -> None:
    fake = FakeGitHub(repo)
    fake.reply("/tarball/", 200, archive(repo))
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(fake).blobs(CommitSha(repo.head), files(repo))


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_expired_link_is_asked_for_once_more(repo: Repo, status: int) -> None:
    fake = FakeGitHub(repo)
    fake.reply(CODELOAD, status)
    assert len(rest(fake).blobs(CommitSha(repo.head), files(repo))) == 70
    assert [request.url.host.split(".")[0] for request in fake.asked] == ["api", "codeload"] * 2
    fake.asked.clear()
    fake.reply(CODELOAD, status, times=2)
    with pytest.raises(ForbiddenError, match="SOURCE_DENIED") as caught:
        rest(fake).blobs(CommitSha(repo.head), files(repo))
    assert len(fake.asked) == 4
    assert "LINKSECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "headers", "code"),
    [
        (500, {}, "SOURCE_UNAVAILABLE"),
        (418, {}, "SOURCE_UNAVAILABLE"),
        (204, {}, "SOURCE_UNAVAILABLE"),
        (429, {"Retry-After": "9"}, "SOURCE_RATE_LIMITED"),
    ],
)
def test_a_download_host_out_of_order_is_unavailable(
    repo: Repo, status: int, headers: dict[str, str], code: str
) -> None:
    fake = FakeGitHub(repo)
    fake.reply(CODELOAD, status, b"", headers, times=3)
    with pytest.raises(UnavailableError) as caught:
        rest(fake).blobs(CommitSha(repo.head), files(repo))
    # An archive that holds nothing is no archive either.
    assert caught.value.code == ("SOURCE_CORRUPT" if status == 204 else code)


def test_an_archive_that_breaks_off_is_read_again_from_its_start(repo: Repo) -> None:
    whole = archive(repo)

    def cut() -> Iterator[bytes]:
        yield whole[:500]
        raise httpx.ReadError("cut")

    fake = FakeGitHub(repo)
    fake.do(CODELOAD, lambda _: httpx.Response(200, stream=_Stream(cut)))
    entries = files(repo)
    assert rest(fake).blobs(CommitSha(repo.head), entries) == contents(repo, entries)
    assert len(fake.asked) == 3


def test_the_time_is_over_in_the_middle_of_an_archive(repo: Repo) -> None:
    clock, whole = FakeClock(), archive(repo)
    end = clock.monotonic() + 5

    def slow() -> Iterator[bytes]:
        for start in range(0, len(whole), 100):
            clock.move(1)
            yield whole[start : start + 100]

    fake = FakeGitHub(repo)
    fake.do(CODELOAD, lambda _: httpx.Response(200, stream=_Stream(slow)))
    with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
        rest(fake, clock=clock, seconds=lambda: end - clock.monotonic()).blobs(CommitSha(repo.head), files(repo))


def test_an_archive_may_not_be_larger_than_its_cap(repo: Repo) -> None:
    served = 0

    def endless() -> Iterator[bytes]:
        nonlocal served
        yield b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
        while True:
            served += MIB
            yield b"\0\0\0\xff\xff" * (MIB // 5)  # empty blocks: packed bytes that unpack to nothing

    fake = FakeGitHub(repo)
    fake.do(CODELOAD, lambda _: httpx.Response(200, stream=_Stream(endless)))
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        rest(fake).blobs(CommitSha(repo.head), files(repo))
    assert served <= 130 * MIB


def test_what_the_archive_has_and_what_it_lacks_share_one_cap() -> None:
    large = bytes(60 * MIB)
    small = {f"{number}": b"%d" % number for number in range(70)}
    fake = FakeGitHub()
    fake.reply("/tarball/", 302, b"", {"Location": CODELOAD})
    fake.reply(CODELOAD, 200, packed(("top/large", large), *[(f"top/{path}", data) for path, data in small.items()]))
    fake.reply("/git/blobs/", 200, b"", {"Content-Length": str(5 * MIB)})
    entries = [file(path, blob_id(data)) for path, data in {"large": large, "lacking": b"lacking", **small}.items()]
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        rest(fake).blobs(SHA, entries)


# compare


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        ("ahead", Standing.AHEAD),
        ("behind", Standing.BEHIND),
        ("diverged", Standing.DIVERGED),
        ("identical", Standing.IDENTICAL),
    ],
)
def test_github_says_how_two_commits_stand(status: str, standing: Standing) -> None:
    fake = scripted("/compare/", 200, {"status": status})
    assert rest(fake).compare(SHA, OTHER) is standing
    assert fake.paths == [f"/compare/{SHA}...{OTHER}?per_page=1&page=2"]


@pytest.mark.parametrize("base", ["", "HEAD", "é" * 40, "a" * 64, "0" * 40, "A" * 40, "../../../user"])
def test_a_base_that_is_no_id_is_unknown_without_a_request(base: str) -> None:
    fake = FakeGitHub()
    assert rest(fake).compare(CommitSha(base), SHA) is Standing.UNKNOWN
    assert rest(fake).compare(SHA, SHA) is Standing.IDENTICAL
    assert fake.asked == []


@pytest.mark.parametrize("status", [404, 422])
def test_a_commit_that_github_does_not_know_is_unknown(status: int) -> None:
    assert rest(scripted("/compare/", status)).compare(SHA, OTHER) is Standing.UNKNOWN


@pytest.mark.parametrize(
    "body", [{}, {"status": "unknown"}, {"status": None}, {"status": ["ahead"]}, {"status": "AHEAD"}, []]
)
def test_another_word_for_it_is_corrupt(body: object) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        rest(scripted("/compare/", 200, body)).compare(SHA, OTHER)


def test_a_comparison_may_not_be_larger_than_its_cap() -> None:
    fake = scripted("/compare/", 200, b"{}", {"Content-Length": str(8 * MIB + 1)})
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        rest(fake).compare(SHA, OTHER)


def test_every_call_ends_when_the_time_is_over() -> None:
    source = rest(FakeGitHub(), seconds=lambda: 0.0)
    calls: list[Callable[[], object]] = [
        lambda: source.head(None),
        lambda: source.listing(SHA),
        lambda: source.blobs(SHA, [file("a", "1" * 40)]),
        lambda: source.compare(SHA, OTHER),
    ]
    for call in calls:
        with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
            call()


def test_the_answer_of_the_stand_in_is_plain() -> None:
    assert answer(200, b"x").status_code == 200
