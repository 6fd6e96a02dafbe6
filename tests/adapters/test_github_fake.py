"""A small stand-in for GitHub's REST API over a real repository, for the tests beside this one; and that it is honest.

What is scripted with `reply` is answered first, once; what is not is answered from the repository, by the real git.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx

from shared.adapters.github_access import AppAccess, PersonalAccess
from shared.adapters.github_api import Api
from shared.adapters.github_http import Wire
from shared.adapters.github_quota import ProcessQuota, RateLimits
from shared.adapters.github_repository import Repository
from shared.adapters.github_source import RestSource
from shared.adapters.github_walk import TreeCache
from shared.adapters.threads import in_threads
from tests.fakes.clock import FakeClock
from tests.repos import Repo, git_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shared.adapters.github_app import App
    from shared.ports import Together

API = "/repos/octo/skills"
CODELOAD = "https://codeload.github.com/octo/skills/legacy.tar.gz/main?token=LINKSECRET"
TOKEN = "github_pat_thisMustNeverBeShown"
REPOSITORY = Repository(api_url="https://api.github.com", owner="octo", name="skills")


def answer(status: int = 200, body: object = b"", headers: dict[str, str] | None = None) -> httpx.Response:
    """An answer whose body is read piece by piece, as from a network; anything but bytes is written as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, stream=httpx.ByteStream(data), headers=headers)


@dataclass
class FakeGitHub:
    """Answers requests.

    Attributes:
        repo: What there is; None when everything is scripted.
        asked: Every request that came.
        largest: How many entries a listing has before it is cut short.
        link: Where a tarball's link leads.
        most_at_once: How many requests were under way at the same time.
    """

    repo: Repo | None = None
    asked: list[httpx.Request] = field(default_factory=list)
    largest: int = 100_000
    link: str = CODELOAD
    most_at_once: int = 0
    meeting: threading.Barrier | None = None
    _scripts: list[tuple[str, Callable[[httpx.Request], httpx.Response]]] = field(default_factory=list)
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(
        self,
        match: str,
        status: int = 200,
        body: object = b"",
        headers: dict[str, str] | None = None,
        *,
        times: int = 1,
    ) -> None:
        """Answer the next requests whose URL contains `match` this way."""
        self._scripts += [(match, lambda _: answer(status, body, headers))] * times

    def do(self, match: str, respond: Callable[[httpx.Request], httpx.Response], *, times: int = 1) -> None:
        """Let a function answer the next requests whose URL contains `match`; it may raise."""
        self._scripts += [(match, respond)] * times

    @property
    def paths(self) -> list[str]:
        """What was asked for, below the repository."""
        return [_below_repository(request) for request in self.asked]

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._serve)

    def _serve(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            self.asked.append(request)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            script = next((item for item in self._scripts if item[0] in str(request.url)), None)
            if script is not None:
                self._scripts.remove(script)
        try:
            if self.meeting is not None and "/git/blobs/" in str(request.url):
                self.meeting.wait(10)
            return script[1](request) if script is not None else self._proper(request)
        finally:
            with self._lock:
                self._now -= 1

    def _proper(self, request: httpx.Request) -> httpx.Response:
        assert self.repo is not None, f"nothing is scripted for {request.url}"
        if request.url.host == "codeload.github.com":
            return answer(200, archive(self.repo))
        path, _, query = _below_repository(request).partition("?")
        match path.split("/")[1:]:
            case ["commits", *ref]:
                return self._head(unquote("/".join(ref)), request)
            case ["git", "trees", name]:
                return answer(200, tree(self.repo, name, recursive="recursive=1" in query, largest=self.largest))
            case ["git", "blobs", name]:
                return answer(200, raw(self.repo, "cat-file", "blob", name))
            case ["tarball", _]:
                return answer(302, b"", {"Location": self.link})
        return answer(404, {"message": "Not Found"})

    def _head(self, ref: str, request: httpx.Request) -> httpx.Response:
        assert self.repo is not None
        head = self.repo.git("rev-parse", "HEAD" if ref == "HEAD" else f"refs/{ref}")
        if request.headers.get("If-None-Match") == f'"{head}"':
            return answer(304)
        return answer(200, head.encode(), {"ETag": f'"{head}"'})


def _below_repository(request: httpx.Request) -> str:
    path = request.url.raw_path.decode()
    return path.partition(API)[2] or path


def raw(repo: Repo, *args: str) -> bytes:
    """Run git and return the bytes that it prints."""
    return subprocess.run(["git", *args], cwd=repo.path, env=git_environment(), capture_output=True, check=True).stdout


def archive(repo: Repo, commit: str = "HEAD") -> bytes:
    """Pack a commit as GitHub does: below one folder, with the attributes obeyed."""
    return gzip.compress(raw(repo, "archive", "--format=tar", "--prefix=octo-skills-abc/", commit))


def tree(repo: Repo, name: str, *, recursive: bool, largest: int = 100_000) -> dict[str, Any]:
    """List a tree as the API does."""
    flags = ["-r", "-t"] if recursive else []
    lines = raw(repo, "ls-tree", "-l", "-z", *flags, name).decode().split("\0")[:-1]
    entries = [_entry(line) for line in lines]
    root = repo.git("rev-parse", f"{name}^{{tree}}")
    cut = recursive and len(entries) > largest
    return {"sha": root, "url": "…", "tree": entries[:largest] if cut else entries, "truncated": cut}


def _entry(line: str) -> dict[str, Any]:
    meta, path = line.split("\t")
    mode, type_, id_, size = meta.split()
    found = {"path": path, "mode": mode, "type": type_, "sha": id_, "url": "…"}
    return found if size == "-" else {**found, "size": int(size)}


def api(
    fake: FakeGitHub,
    *,
    tokens: Sequence[str] = (),
    app: App | None = None,
    clock: FakeClock | None = None,
    quota: ProcessQuota | None = None,
    seconds: Callable[[], float] = lambda: 30.0,
) -> Api:
    """Build what asks the stand-in."""
    clock = clock or FakeClock()
    return Api(
        repository=REPOSITORY,
        wire=Wire(REPOSITORY.rest_url, clock, fake.transport()),
        access=PersonalAccess(tokens, clock) if app is None else AppAccess(app, REPOSITORY, clock),
        limits=RateLimits(quota or ProcessQuota(clock), clock, REPOSITORY.rest_url),
        seconds=seconds,
    )


def rest(
    fake: FakeGitHub,
    branch: str | None = "main",
    *,
    together: Together = in_threads,
    cache: TreeCache | None = None,
    **options: Any,  # noqa: ANN401 - passed on as they are
) -> RestSource:
    """Build the source, without the git protocol behind it."""
    return RestSource(api(fake, **options), branch, together=together, cache=cache or TreeCache())


def test_the_stand_in_answers_from_the_repository(tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    repo.write("skills/a/SKILL.md", "a\n")
    head = repo.commit()
    source = rest(FakeGitHub(repo))
    assert source.head(None) == head
    entries = source.listing(source.head(None))
    assert [(entry.path, entry.id) for entry in entries] == [
        (path, repo.id_of(path)) for path in ("skills", "skills/a", "skills/a/SKILL.md")
    ]
    assert source.blobs(source.head(None), entries[2:]) == {entries[2].id: b"a\n"}


def test_what_is_scripted_is_answered_once_and_before_the_repository(tmp_path: Path) -> None:
    repo = Repo(tmp_path)
    head = repo.commit()
    fake = FakeGitHub(repo)
    fake.reply("/commits/", 200, b"1" * 40)
    assert [rest(fake).head(None), rest(fake).head(None)] == ["1" * 40, head]
    assert fake.paths == ["/commits/heads/main"] * 2
