"""What the git source does when the server, the network or the repository misbehaves, and what it costs when they do not."""

from __future__ import annotations

import base64
import random
import socket
import time
import traceback
import zlib
from contextlib import closing
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.git_remote import open_source
from shared.adapters.value_choice import ValueChoice
from shared.errors import ConfigError, RejectedError, SkillSyncError, UnavailableError
from shared.model import BlobId, CommitSha, Standing
from tests.fakes.clock import FakeClock
from tests.git_server import Fault, GitServer, Received, Reply
from tests.repos import Repo
from tests.tls import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.model import TreeEntry
    from shared.ports import Source

TOKEN = "ghs_thisMustNeverBeShown"
RESULT = {"Content-Type": "application/x-git-upload-pack-result"}
ADVERTISEMENT = {"Content-Type": "application/x-git-upload-pack-advertisement"}
INFO = "info/refs"
PACK = "git-upload-pack"


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "origin")
    made.write_all({"skills/a/SKILL.md": "a\n", "skills/b/SKILL.md": "b\n"})
    made.commit()
    made.mirror(tmp_path / "served" / "r.git")
    return made


@pytest.fixture
def server(repo: Repo, tmp_path: Path) -> Iterator[GitServer]:
    assert repo.head
    with GitServer(tmp_path / "served") as running:
        yield running


def chosen(*tokens: str | None, clock: FakeClock | None = None) -> ValueChoice:
    return ValueChoice([token or "" for token in tokens], clock or FakeClock(), "GITHUB_TOKEN")


def source(server: GitServer, *, token: str | None = None, seconds: float = 30, max_bytes: int = 2**20) -> Source:
    end = time.monotonic() + seconds
    return open_source(
        server.url("r.git"), None, tokens=chosen(token), seconds=lambda: end - time.monotonic(), max_bytes=max_bytes
    )


def requests(server: GitServer) -> list[str]:
    return [seen.received.path.removeprefix("r.git/") for seen in server.log]


def shown(error: BaseException) -> str:
    """Everything that a log could print of an error."""
    return "".join(traceback.format_exception(error)) + repr(error)


# What things cost


def test_a_changed_file_costs_four_small_requests_on_one_connection(
    repo: Repo, server: GitServer, tmp_path: Path
) -> None:
    noise = random.Random(1)
    repo.write_all({f"skills/{n}/data": noise.randbytes(5000) for n in range(60)})
    repo.write("skills/7/data", b"changed" * 100)
    head = CommitSha(repo.commit())
    repo.mirror(tmp_path / "served" / "r.git")
    found = source(server)
    assert found.head(None) == head
    changed = [entry for entry in found.listing(head) if entry.path == "skills/7/data"]
    assert found.blobs(head, changed) == {BlobId(changed[0].id): b"changed" * 100}
    assert requests(server) == [INFO, PACK, PACK, PACK]
    assert server.connections == 1
    blob_request, blob_answer = server.log[-1].received.body, server.log[-1].reply.body
    assert blob_request.count(b"want ") == 1
    assert changed[0].id.encode() in blob_request
    assert len(blob_answer) < 400
    assert sum(len(seen.reply.body) for seen in server.log) < 10_000


def test_an_unchanged_head_costs_two_requests_and_then_one(server: GitServer) -> None:
    found = source(server)
    head = found.head(None)
    assert requests(server) == [INFO, PACK]
    server.forget()
    found.head(head)
    assert requests(server) == [PACK]


def test_what_was_fetched_is_not_fetched_again(server: GitServer) -> None:
    found = source(server)
    head = found.head(None)
    files = [entry for entry in found.listing(head) if entry.path.endswith(".md")]
    found.blobs(head, files)
    server.forget()
    assert found.listing(head)
    assert len(found.blobs(head, files)) == 2
    assert found.compare(head, head) is Standing.IDENTICAL
    assert server.log == []


def test_compare_fetches_only_the_commits_between(repo: Repo, server: GitServer, tmp_path: Path) -> None:
    noise = random.Random(2)
    for number in range(30):
        repo.write("big", noise.randbytes(3000))
        repo.commit(f"{number}")
    base = CommitSha(repo.head)
    repo.write("small", "x")
    head = CommitSha(repo.commit())
    repo.mirror(tmp_path / "served" / "r.git")
    for allow_filter in (True, False):
        server.allow_filter = allow_filter
        found = source(server)
        found.head(None)
        server.forget()
        assert found.compare(base, head) is Standing.AHEAD
        assert len(server.log) == 1
        assert len(server.log[0].reply.body) < 1000


def test_without_filters_one_pack_brings_everything(server: GitServer) -> None:
    server.allow_filter = False
    found = source(server)
    head = found.head(None)
    files = [entry for entry in found.listing(head) if entry.path.endswith(".md")]
    server.forget()
    assert sorted(found.blobs(head, files).values()) == [b"a\n", b"b\n"]
    assert server.log == []


def test_an_old_server_is_asked_for_the_head_anew_each_time(repo: Repo, server: GitServer, tmp_path: Path) -> None:
    server.protocol_v2 = False
    found = source(server)
    assert found.head(None) == repo.head
    second = CommitSha(repo.commit())
    repo.mirror(tmp_path / "served" / "r.git")
    assert found.head(None) == second
    assert requests(server) == [INFO, INFO]


def test_building_a_source_touches_nothing(server: GitServer) -> None:
    source(server)
    open_source("/no/such/folder", None, tokens=None, seconds=lambda: 1.0)
    open_source("https://no.such.host.invalid/r", None, tokens=None, seconds=lambda: 1.0)
    assert server.connections == 0


# What servers answer


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (Reply(401), RejectedError, "SOURCE_DENIED"),
        (Reply(403), RejectedError, "SOURCE_DENIED"),
        (Reply(404), RejectedError, "SOURCE_NOT_FOUND"),
        (Reply(410), RejectedError, "SOURCE_NOT_FOUND"),
        (Reply(429), UnavailableError, "SOURCE_RATE_LIMITED"),
        (Reply(403, {"Retry-After": "60"}), UnavailableError, "SOURCE_RATE_LIMITED"),
        (Reply(500), UnavailableError, "SOURCE_UNAVAILABLE"),
        (Reply(418), UnavailableError, "SOURCE_UNAVAILABLE"),
        (Reply(204), UnavailableError, "SOURCE_UNAVAILABLE"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Reply) else "",
)
@pytest.mark.parametrize("where", [INFO, PACK])
def test_each_status_has_its_own_error_and_is_not_asked_again(
    server: GitServer, where: str, reply: Reply, kind: type[SkillSyncError], code: str
) -> None:
    server.fail(Fault(reply, match=f"/{where}", times=9))
    with pytest.raises(kind, match=code):
        source(server).head(None)
    assert requests(server)[-2:].count(where) == 1


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "7"}, 7), ({"Retry-After": "soon"}, 30), ({}, 30)], ids=str
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_handed_on_and_never_slept_off(
    server: GitServer, status: int, header: dict[str, str], seconds: float
) -> None:
    server.fail(Fault(Reply(status, header), times=9))
    with pytest.raises(UnavailableError, match=r"RATE_LIMITED|UNAVAILABLE") as caught:
        source(server, seconds=3).head(None)
    assert caught.value.retry_after_seconds == seconds


def test_a_page_that_is_no_git_server_is_not_found(server: GitServer) -> None:
    server.fail(Fault(Reply(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>")))
    with pytest.raises(RejectedError, match="SOURCE_NOT_FOUND"):
        source(server).head(None)


def test_the_dumb_protocol_is_refused(repo: Repo, server: GitServer) -> None:
    dumb = Reply(200, {"Content-Type": "text/plain"}, f"{repo.head}\trefs/heads/main\n".encode())
    server.fail(Fault(dumb, match=INFO))
    with pytest.raises(RejectedError, match="SOURCE_NOT_FOUND"):
        source(server).head(None)
    assert requests(server) == [INFO]


def test_a_commit_that_is_gone_is_worth_another_try(server: GitServer) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_UNAVAILABLE"):
        source(server).listing(CommitSha("1" * 40))


def test_nobody_listening_is_unavailable(tmp_path: Path) -> None:
    with GitServer(tmp_path) as stopped:
        pass
    with pytest.raises(UnavailableError, match=r"SOURCE_UNAVAILABLE.*NewConnectionError"):
        source(stopped).head(None)


def test_a_server_that_refuses_the_filter_is_asked_for_the_whole_commit(
    server: GitServer, repo: Repo, tmp_path: Path
) -> None:
    repo.git("--git-dir", str(tmp_path / "served" / "r.git"), "config", "uploadpackfilter.allow", "false")
    found = source(server)
    head = found.head(None)
    files = [entry for entry in found.listing(head) if entry.path.endswith(".md")]
    assert sorted(found.blobs(head, files).values()) == [b"a\n", b"b\n"]
    assert found.compare(head, CommitSha("1" * 40)) is Standing.UNKNOWN


def test_more_blobs_than_fit_in_one_request_are_asked_for_in_several(
    repo: Repo, server: GitServer, tmp_path: Path
) -> None:
    repo.write_all({f"many/{number:04}": f"{number}\n" for number in range(1001)})
    head = CommitSha(repo.commit())
    repo.mirror(tmp_path / "served" / "r.git")
    found = source(server)
    files = [entry for entry in found.listing(head) if entry.path.startswith("many/")]
    server.forget()
    blobs = found.blobs(head, files)
    assert [blobs[BlobId(entry.id)] for entry in files] == [f"{number}\n".encode() for number in range(1001)]
    assert [seen.received.body.count(b"want ") for seen in server.log] == [1000, 1]


def test_a_server_that_refuses_single_blobs_is_asked_for_the_whole_commit(server: GitServer) -> None:
    found = source(server)
    head = found.head(None)
    files = [entry for entry in found.listing(head) if entry.path.endswith(".md")]
    server.fail(Fault(Reply(200, RESULT, b"0012ERR no blobs\n0000")))
    assert sorted(found.blobs(head, files).values()) == [b"a\n", b"b\n"]


# Time


@pytest.mark.parametrize("where", [INFO, PACK])
@pytest.mark.parametrize(("cut", "then"), [(0, "stall"), (0, "drip"), (60, "drip"), (-40, "stall"), (-40, "drip")])
def test_a_slow_server_is_left_when_the_time_is_over(
    server: GitServer, where: str, cut: int, then: Literal["stall", "drip"]
) -> None:
    server.fail(Fault(match=f"/{where}", cut=cut, then=then))
    begin = time.monotonic()
    with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
        source(server, seconds=0.2).head(None)
    assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_never_says_a_word_is_left_when_the_time_is_over(scheme: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        end = time.monotonic() + 0.3
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/r"
        found = open_source(url, None, tokens=None, seconds=lambda: end - time.monotonic())
        with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
            found.head(None)
    assert time.monotonic() - end < 1.5


def test_without_time_nothing_is_asked(server: GitServer) -> None:
    with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
        source(server, seconds=0).head(None)
    assert server.connections == 0


# Broken connections


@pytest.mark.parametrize("where", [INFO, PACK])
@pytest.mark.parametrize("fault", [Fault(Reply(502)), Fault(Reply(503)), Fault(Reply(504)), Fault(cut=0)], ids=str)
def test_one_bad_answer_is_asked_again(repo: Repo, server: GitServer, where: str, fault: Fault) -> None:
    server.fail(Fault(fault.reply, match=f"/{where}", cut=fault.cut))
    assert source(server).head(None) == repo.head
    assert requests(server).count(where) == 2


def test_a_server_that_stays_down_is_asked_three_times(server: GitServer) -> None:
    server.fail(Fault(Reply(503), times=9))
    with pytest.raises(UnavailableError, match="SOURCE_UNAVAILABLE"):
        source(server).head(None)
    assert requests(server) == [INFO] * 3


@pytest.mark.parametrize("cut", [-6, -30, -60, -100])
def test_a_connection_dropped_within_an_answer_is_unavailable(server: GitServer, cut: int) -> None:
    found = source(server)
    head = found.head(None)
    server.fail(Fault(match=f"/{PACK}", cut=cut))
    with pytest.raises(UnavailableError, match="SOURCE_UNAVAILABLE"):
        found.listing(head)
    assert len(found.listing(head)) == 5
    server.fail(Fault(match=INFO, cut=cut))
    with pytest.raises(UnavailableError, match="SOURCE_UNAVAILABLE"):
        source(server).head(None)


def test_an_idle_connection_that_the_server_closed_is_opened_again(repo: Repo, server: GitServer) -> None:
    found = source(server)
    server.fail(Fault(cut=10_000, match=f"/{PACK}"))  # the whole answer, and then the connection is closed
    head = found.head(None)
    assert len(found.listing(head)) == 5
    assert head == repo.head
    assert server.connections == 2


# Trust


def test_the_token_is_sent_as_the_password_of_x_access_token(repo: Repo, server: GitServer) -> None:
    server.token = TOKEN
    assert source(server, token=TOKEN).head(None) == repo.head
    with pytest.raises(RejectedError, match="SOURCE_DENIED") as caught:
        source(server, token=f"{TOKEN}-old").head(None)
    assert TOKEN not in shown(caught.value)


def proofs(server: GitServer) -> list[str]:
    """The passwords that were sent, in order."""
    headers = [exchange.received.headers.get("authorization", "") for exchange in server.log]
    return [base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")[2] for header in headers]


def test_while_the_newest_token_is_refused_the_old_one_is_used_also_by_the_next_source(
    repo: Repo, server: GitServer
) -> None:
    server.token = TOKEN
    tokens = chosen("new", TOKEN)
    url = server.url("r.git")
    for _ in range(2):
        found = open_source(url, None, tokens=tokens, seconds=lambda: 9.0)
        assert len(found.listing(found.head(None))) == 5
        assert found.head(None) == repo.head
    used = proofs(server)
    assert used.count("new") == 1
    assert used[0] == "new"
    assert set(used[1:]) == {TOKEN}


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_in_the_middle_is_replaced_there(repo: Repo, server: GitServer, status: int) -> None:
    found = open_source(server.url("r.git"), None, tokens=chosen("new", TOKEN), seconds=lambda: 9.0)
    head = found.head(None)
    server.fail(Fault(Reply(status), match=f"/{PACK}"))
    assert len(found.listing(head)) == 5
    assert head == repo.head
    assert (proofs(server)[0], proofs(server)[-1]) == ("new", TOKEN)


def test_two_tokens_that_are_both_refused_are_an_error_and_not_shown(server: GitServer) -> None:
    server.token = "another"
    found = open_source(server.url("r.git"), None, tokens=chosen(f"{TOKEN}-new", TOKEN), seconds=lambda: 9.0)
    with pytest.raises(RejectedError, match="SOURCE_DENIED") as caught:
        found.head(None)
    assert proofs(server) == [f"{TOKEN}-new", TOKEN]
    assert TOKEN not in shown(caught.value)


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_limit_is_no_refusal_of_the_token(server: GitServer, status: int) -> None:
    tokens = chosen("new", TOKEN)
    server.fail(Fault(Reply(status, {"Retry-After": "60"}), times=9))
    with pytest.raises(UnavailableError):
        open_source(server.url("r.git"), None, tokens=tokens, seconds=lambda: 9.0).head(None)
    assert set(proofs(server)) == {"new"}
    assert tokens.current() == "new"


def test_credentials_in_the_url_are_used_and_never_shown(repo: Repo, server: GitServer) -> None:
    server.token = TOKEN
    url = server.url("r.git").replace("http://", f"http://x-access-token:{TOKEN}@")
    assert open_source(url, None, tokens=None, seconds=lambda: 9.0).head(None) == repo.head
    for found in (
        open_source(url, "missing", tokens=None, seconds=lambda: 9.0),
        open_source(url, None, tokens=chosen("other"), seconds=lambda: 9.0),
        open_source(url, None, tokens=None, seconds=lambda: 0.0),
    ):
        with pytest.raises(SkillSyncError) as caught:
            found.head(None)
        assert TOKEN not in shown(caught.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", [INFO, PACK])
def test_a_redirect_is_refused_and_the_token_stays_here(
    server: GitServer, tmp_path: Path, status: int, where: str
) -> None:
    with GitServer(tmp_path / "served") as other:
        server.fail(Fault(Reply(status, {"Location": other.url("r.git/info/refs")}), match=f"/{where}"))
        with pytest.raises(RejectedError, match=r"SOURCE_MOVED.*moved"):
            source(server, token=TOKEN).head(None)
        assert other.log == []


def test_an_address_named_by_the_server_is_never_asked(server: GitServer, tmp_path: Path) -> None:
    context, _ = self_signed(tmp_path)
    with GitServer(tmp_path / "served", tls=context) as other:
        found = source(server, token=TOKEN)
        head = found.head(None)
        line = f"{other.url('bundle.pack')} sha1 {'1' * 40}\n".encode()
        body = b"0012packfile-uris\n" + b"%04x" % (len(line) + 4) + line + b"000dpackfile\n0000"
        server.fail(Fault(Reply(200, RESULT, body)))
        with pytest.raises(UnavailableError, match="another address"):
            found.listing(head)
        assert other.connections == 0


def test_a_token_that_the_server_repeats_is_not_shown(server: GitServer) -> None:
    text = f"ERR you sent {TOKEN}".encode()
    echo = b"%04x" % (len(text) + 4) + text + b"0000"
    for headers, match in ((ADVERTISEMENT, INFO), (RESULT, PACK), ({"Content-Type": TOKEN}, PACK)):
        server.fail(Fault(Reply(200, headers, echo), match=f"/{match}"))
        with pytest.raises(UnavailableError) as caught:
            source(server, token=TOKEN).head(None)
        assert TOKEN not in shown(caught.value)


def test_https_is_served_with_the_same_limits(
    repo: Repo, server: GitServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, authority = self_signed(tmp_path)
    with GitServer(server.root, tls=context) as secure:
        with pytest.raises(UnavailableError, match=r"SOURCE_UNAVAILABLE.*SSLError"):
            source(secure).head(None)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        found = source(secure)
        assert len(found.listing(found.head(None))) == 5
        assert found.head(None) == repo.head
        secure.fail(Fault(cut=40, then="drip"))
        with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
            source(secure, seconds=0.4).head(None)


def test_another_object_than_the_one_asked_for_is_corrupt(server: GitServer) -> None:
    def blob(found: Source, path: str) -> tuple[CommitSha, list[TreeEntry]]:
        head = found.head(None)
        return head, [entry for entry in found.listing(head) if entry.path == path]

    found = source(server)
    found.blobs(*blob(found, "skills/a/SKILL.md"))
    server_answer = server.log[-1].reply
    again = source(server)
    asked = blob(again, "skills/b/SKILL.md")
    server.fail(Fault(server_answer))
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        again.blobs(*asked)


def _stage(received: Received) -> str:
    if received.method == "GET":
        return "capabilities"
    return "refs" if b"command=ls-refs" in received.body else "pack"


def test_garbage_of_any_kind_ends_in_an_error_of_ours(server: GitServer, tmp_path: Path) -> None:
    found = source(server)
    found.listing(found.head(None))
    proper = {_stage(seen.received): seen.reply for seen in server.log}
    bodies: dict[str, bytes] = {}

    def routes(received: Received) -> Reply:
        stage = _stage(received)
        return Reply(200, proper[stage].headers, bodies.get(stage, proper[stage].body))

    def damaged(body: bytes) -> st.SearchStrategy[bytes]:
        place = st.integers(0, len(body))
        flipped = st.builds(lambda at, new: body[:at] + new + body[at + len(new) :], place, st.binary(max_size=4))
        return st.one_of(flipped, place.map(lambda at: body[:at]), st.binary(max_size=40))

    with GitServer(tmp_path, routes=routes) as liar:

        @settings(max_examples=120, deadline=None, database=None)
        @given(st.one_of([st.tuples(st.just(name), damaged(reply.body)) for name, reply in proper.items()]))
        def attempt(damage: tuple[str, bytes]) -> None:
            bodies.clear()
            bodies.update([damage])
            try:
                source(liar).listing(source(liar).head(None))
            except (UnavailableError, RejectedError):
                return

        attempt()


# Size


@pytest.mark.parametrize("allow_filter", [True, False])
def test_more_bytes_than_allowed_are_refused(
    repo: Repo, server: GitServer, tmp_path: Path, *, allow_filter: bool
) -> None:
    server.allow_filter = allow_filter
    repo.write("noise", random.Random(3).randbytes(60_000))
    head = CommitSha(repo.commit())
    repo.mirror(tmp_path / "served" / "r.git")
    found = source(server, max_bytes=50_000)
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        found.blobs(head, [entry for entry in found.listing(head) if entry.path == "noise"])


def test_a_small_pack_that_unpacks_to_much_is_refused(repo: Repo, server: GitServer, tmp_path: Path) -> None:
    repo.write("zeros", bytes(5_000_000))
    head = CommitSha(repo.commit())
    repo.mirror(tmp_path / "served" / "r.git")
    found = source(server, max_bytes=50_000)
    entries = [entry for entry in found.listing(head) if entry.path == "zeros"]
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        found.blobs(head, entries)
    assert len(server.log[-1].reply.body) < 50_000


def test_compare_beyond_the_allowance_is_unknown(repo: Repo, server: GitServer, tmp_path: Path) -> None:
    server.allow_filter = False
    base = CommitSha(repo.head)
    repo.write("noise", random.Random(4).randbytes(60_000))
    head = CommitSha(repo.commit())
    repo.mirror(tmp_path / "served" / "r.git")
    assert source(server, max_bytes=50_000).compare(base, head) is Standing.UNKNOWN
    assert source(server).compare(base, head) is Standing.AHEAD


def test_folders_within_folders_cannot_make_an_endless_listing(repo: Repo) -> None:
    inner = f"100644 blob {repo.id_of('skills/a/SKILL.md')}"
    for _ in range(4):
        tree = repo.git("mktree", data="".join(f"{inner}\t{name}\n" for name in range(500)).encode())
        inner = f"040000 tree {tree}"
    head = CommitSha(repo.git("commit-tree", tree, "-m", "Bomb"))
    found = open_source(str(repo.path), None, tokens=None, seconds=lambda: 9.0)
    with pytest.raises(RejectedError, match="SOURCE_TOO_LARGE"):
        found.listing(head)


# Repositories on disk


def local(repo: Repo) -> Source:
    return open_source(str(repo.path), None, tokens=None, seconds=lambda: 9.0)


def test_a_path_without_a_repository_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    for name in ("file", "folder", "missing"):
        with pytest.raises(RejectedError, match="SOURCE_NOT_FOUND"):
            open_source(str(tmp_path / name), None, tokens=None, seconds=lambda: 9.0).head(None)


def test_a_damaged_object_on_disk_is_never_handed_on(repo: Repo) -> None:
    head = CommitSha(repo.head)
    entry = next(entry for entry in local(repo).listing(head) if entry.path == "skills/a/SKILL.md")
    file = repo.path / ".git" / "objects" / entry.id[:2] / entry.id[2:]
    file.chmod(0o644)
    for content, code in (
        (zlib.compress(b"blob 2\0x\n"), "SOURCE_CORRUPT"),
        (zlib.compress(b"tree 0\0"), "SOURCE_CORRUPT"),
        (b"\0\0\0", "SOURCE_UNAVAILABLE"),
        (b"", "SOURCE_UNAVAILABLE"),
    ):
        file.write_bytes(content)
        with pytest.raises(UnavailableError, match=code):
            local(repo).blobs(head, [entry])
    file.unlink()
    with pytest.raises(UnavailableError, match="SOURCE_CORRUPT"):
        local(repo).blobs(head, [entry])


def test_a_shallow_repository_does_not_know_how_old_commits_stand(repo: Repo, tmp_path: Path) -> None:
    base = CommitSha(repo.head)
    repo.commit()
    repo.git("branch", "old", base)
    head = CommitSha(repo.commit())
    repo.git("clone", "-q", "--depth=1", "--no-single-branch", repo.path.as_uri(), str(tmp_path / "shallow"))
    shallow = open_source(str(tmp_path / "shallow"), None, tokens=None, seconds=lambda: 9.0)
    assert shallow.head(None) == head
    assert shallow.compare(base, head) is Standing.UNKNOWN


def test_a_name_with_a_slash_inside_is_escaped(repo: Repo) -> None:
    tree = b"100644 a/../b\0" + bytes.fromhex(repo.id_of("skills/a/SKILL.md"))
    name = repo.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=tree)
    head = CommitSha(repo.git("commit-tree", name, "-m", "Odd"))
    assert [entry.path for entry in local(repo).listing(head)] == [r"a\x2f..\x2fb"]


def test_a_repository_with_sha_256_ids_is_unsupported(tmp_path: Path) -> None:
    made = Repo(tmp_path / "origin")
    made.git("init", "-q", "--bare", "--object-format=sha256", str(tmp_path / "served" / "r.git"))
    tree = made.git("--git-dir", str(tmp_path / "served" / "r.git"), "mktree")
    commit = made.git("--git-dir", str(tmp_path / "served" / "r.git"), "commit-tree", tree, "-m", "x")
    made.git("--git-dir", str(tmp_path / "served" / "r.git"), "update-ref", "HEAD", commit)
    with GitServer(tmp_path / "served") as server:
        for url in (str(tmp_path / "served" / "r.git"), server.url("r.git")):
            with pytest.raises(RejectedError, match="SOURCE_UNSUPPORTED"):
                open_source(url, None, tokens=None, seconds=lambda: 9.0).head(None)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ssh://git@example.com/r.git",
        "git@example.com:r.git",
        "git://example.com/r.git",
        "ftp://example.com/r.git",
        "ext::sh -c id",
        "file://example.com/r.git",
        "file://",
        "https://",
        "https://user:secret@/r.git",
        "https://user:secret@example.com:port/r.git",
        "https://example.com/r.git?token=secret",
        "http://[::1/r.git",
    ],
)
def test_any_other_kind_of_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match="SOURCE_URL_UNSUPPORTED") as caught:
        open_source(url, None, tokens=None, seconds=lambda: 9.0)
    assert "secret" not in shown(caught.value)
