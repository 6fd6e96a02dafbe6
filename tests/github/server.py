"""A stand-in for GitHub on this machine: REST API, smart HTTP and archives over real bare repositories, with switches.

    with GitHubStandIn(folder) as github:
        github.publish("octo/skills", repo)
        github.switches.refs_lag = 2
        ...  # talk to github.api_url, or by git to github.url("octo/skills.git")

It has the shape of a GitHub Enterprise Server: the API below /api/v3, git beside it. Webhooks are deliveries.py's business.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from tests.git_server import Fault, GitServer, Received, Reply
from tests.github.access import INSTALLATION, Access, bearer
from tests.github.git_reads import GitReads
from tests.github.rest import Hooks, Rest, hook_routes, message, reply
from tests.github.switches import Switches
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

API = "api/v3/"
_CODELOAD = "_codeload/"
_NOTHING = "0" * 40
_LIMIT = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class RefChange:
    """What a push did to one reference; all zeros stand for none."""

    ref: str
    before: str
    after: str
    forced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One line of the log. Times in seconds on the monotonic clock, sizes of the bodies in bytes."""

    kind: Literal["rest", "git", "download", "control"]
    method: str
    path: str
    query: str
    status: int
    headers: tuple[str, ...]
    started: float
    ended: float
    request_bytes: int
    response_bytes: int


class GitHubStandIn:
    """Serves the repositories below `root`, `<owner>/<name>.git` each.

    Args:
        root: The folder of the bare repositories.
        port: Where; 0 takes any that is free.

    Attributes:
        switches: What goes wrong.
        access: Who may ask.
        deliveries: The webhooks of the repositories; None for none.
        on_push: Told of every push, once it is answered.
        control: Answers requests of its own before all others; for the command line.
    """

    def __init__(self, root: Path, *, port: int = 0) -> None:
        self.switches = Switches()
        self.access = Access()
        self.deliveries: Hooks | None = None
        self.on_push: Callable[[Sequence[RefChange]], object] | None = None
        self.control: Callable[[Received], Reply | None] | None = None
        self._root = root
        self._rest: dict[str, Rest] = {}
        self._moved: dict[str, str] = {}
        self._lock = threading.RLock()
        self._server = GitServer(root, routes=self._answer, port=port)
        self._server.allow_push = True
        self._elsewhere = GitServer(root, routes=self._answer)

    def __enter__(self) -> Self:
        self._server.__enter__()
        self._elsewhere.__enter__()
        return self

    def __exit__(self, *args: object) -> None:
        self._elsewhere.__exit__(*args)
        self._server.__exit__(*args)

    @property
    def token(self) -> str | None:
        """The personal token; None makes everything public."""
        return self.access.token

    @token.setter
    def token(self, token: str | None) -> None:
        self.access.token = token

    @property
    def api_url(self) -> str:
        """Where the REST API is."""
        return self.url(API.rstrip("/"))

    @property
    def requests(self) -> list[Seen]:
        """Everything that was asked for so far, in the order in which it was answered."""
        return [
            _seen(exchange.received, exchange.reply, exchange.started, exchange.ended) for exchange in self._server.log
        ]

    @property
    def asked_elsewhere(self) -> int:
        """How many connections another origin has seen."""
        return self._elsewhere.connections

    def url(self, name: str) -> str:
        """The address of a path, or of a repository as git has it."""
        return self._server.url(name)

    def push_url(self, full_name: str) -> str:
        """The address that a repository is pushed to, with the personal token in it."""
        proof = f"x-access-token:{self.token}@" if self.token else ""
        return self.url(f"{full_name}.git").replace("://", f"://{proof}", 1)

    def fail(self, fault: Fault) -> None:
        """Let the next requests that fit go wrong."""
        self._server.fail(fault)

    def forget_faults(self) -> None:
        """Let no such fault happen any more."""
        self._server.forget_faults()

    def bare(self, full_name: str) -> Path:
        """Where a repository lies."""
        return self._root / f"{full_name}.git"

    def create(self, full_name: str) -> Path:
        """Make an empty repository."""
        Repo.bare(self.bare(full_name))
        return self.bare(full_name)

    def publish(self, full_name: str, repo: Repo) -> Path:
        """Make a repository an exact mirror of another one, as a force-push of everything does."""
        bare = self.bare(full_name)
        with self._watching(full_name):
            repo.mirror(bare)
        return bare

    def rename(self, old: str, new: str) -> None:
        """Give a repository another name; the old one then says so."""
        self.bare(new).parent.mkdir(parents=True, exist_ok=True)
        self.bare(old).rename(self.bare(new))
        self._moved[old.casefold()] = new

    def remove(self, full_name: str) -> None:
        """Take a repository away."""
        self.bare(full_name).rename(self.bare(full_name).with_suffix(".removed"))

    def _answer(self, received: Received) -> Reply | None:
        if self.control is not None and (reply_ := self.control(received)) is not None:
            return reply_
        self._server.stopping.wait(self.switches.latency_seconds)
        if received.path.startswith(API):
            return self._with_limits(received, self._api(received))
        if received.path.startswith(_CODELOAD):
            full_name, _, token = received.path.removeprefix(_CODELOAD).partition("/legacy.tar.gz/")
            return self._of(full_name).archive(token)
        return self._git(received)

    def _git(self, received: Received) -> Reply | None:
        full_name = received.path.partition(".git")[0]
        moved = self._moved.get(full_name.casefold())
        if moved is not None:
            rest = received.path.removeprefix(f"{full_name}.git")
            return Reply(301, {"Location": self.url(f"{moved}.git{rest}?{received.query}")})
        sent = bearer(received.headers) or ""
        if not self.access.is_open and (sent in self.access.blind or not self.access.holds(sent)):
            return Reply(401, {"WWW-Authenticate": 'Basic realm="GitHub"'}, b"Repository not found.")
        if not self.bare(full_name).exists():
            return Reply(404, {}, b"Repository not found.")
        if received.path.endswith("/git-receive-pack") and received.method == "POST":
            with self._watching(full_name):
                return self._server.by_git(received)
        return None

    def _api(self, received: Received) -> Reply:
        if (refused := self._refused(received)) is not None:
            return refused
        path = received.path.removeprefix(API)
        if path == f"app/installations/{INSTALLATION}/access_tokens" and received.method == "POST":
            return self._installation_token(received)
        parts = path.split("/", 3)
        if parts[0] != "repos" or len(parts) < 3:
            return message(404, "Not Found")
        full_name, below = "/".join(parts[1:3]), f"/{parts[3]}" if len(parts) > 3 else ""
        if below == "/installation":
            return reply(200, {"id": INSTALLATION}) if self.access.is_app(received.headers) else self._bad_credentials()
        return self._for_reader(received, full_name, below)

    def _for_reader(self, received: Received, full_name: str, below: str) -> Reply:
        sent = bearer(received.headers)
        if not self.access.is_open and sent is not None and not self.access.holds(sent):
            return self._bad_credentials()
        if full_name.casefold() in self._moved:
            place = f"{self.api_url}/repositories/{abs(hash(full_name))}{below}"
            return reply(301, {"message": "Moved Permanently", "url": place}, {"Location": place})
        hidden = sent in self.access.blind or (not self.access.is_open and sent is None)
        if hidden or not self.bare(full_name).exists():
            return message(404, "Not Found")
        if below.startswith("/hooks"):
            readable = self.deliveries is not None and self.switches.hooks_readable
            found = hook_routes(self.deliveries, received, below) if self.deliveries is not None and readable else None
        elif below.startswith("/tarball/"):
            found = self._tarball(full_name, below.removeprefix("/tarball/"))
        else:
            found = self._of(full_name).answer(received, below)
        return message(404, "Not Found") if found is None else found

    def _tarball(self, full_name: str, ref: str) -> Reply | None:
        token = self._of(full_name).link(ref)
        if token is None:
            return None
        if self.switches.expire_tarball_links > 0:
            self.switches.expire_tarball_links -= 1
            del self._of(full_name).links[token]
        server = self._elsewhere if self.switches.download_elsewhere else self._server
        return Reply(302, {"Location": server.url(f"{_CODELOAD}{full_name}/legacy.tar.gz/{token}")})

    def _installation_token(self, received: Received) -> Reply:
        if not self.access.is_app(received.headers):
            return self._bad_credentials()
        issued = self.access.issue()
        expires = f"{issued.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        return reply(201, {"token": issued.token, "expires_at": expires, "permissions": {"contents": "read"}})

    def _refused(self, received: Received) -> Reply | None:
        """Say what the switches say: an outage, a secondary limit, or that the primary one is used up."""
        switches = self.switches
        with self._lock:
            if switches.status_times > 0 and switches.status_match in received.path:
                switches.status_times -= 1
                told = {"retry-after": switches.retry_after} if switches.retry_after else {}
                limit = switches.status in {403, 429}
                text = "You have exceeded a secondary rate limit." if limit else "Server Error"
                return message(switches.status, text, dict(told))
            return message(403, "API rate limit exceeded.") if switches.rate_remaining <= 0 else None

    def _with_limits(self, received: Received, answer: Reply) -> Reply:
        switches = self.switches
        free = answer.status == 304 and bearer(received.headers) is not None
        with self._lock:
            if not free:
                switches.rate_remaining = max(0, switches.rate_remaining - 1)
            headers = {
                "x-ratelimit-limit": str(_LIMIT),
                "x-ratelimit-remaining": str(switches.rate_remaining),
                "x-ratelimit-used": str(_LIMIT - switches.rate_remaining),
                "x-ratelimit-reset": str(int(time.time()) + switches.rate_reset_seconds),
                "x-ratelimit-resource": "core",
                "server": "github.com",
                **self.access.told(received.headers),
            }
        return Reply(answer.status, {**headers, **answer.headers}, answer.body, chunked=answer.chunked)

    @staticmethod
    def _bad_credentials() -> Reply:
        return message(401, "Bad credentials")

    def _of(self, full_name: str) -> Rest:
        with self._lock:
            key = full_name.casefold()
            if key not in self._rest:
                self._rest[key] = Rest(GitReads(self.bare(full_name)), full_name, self.switches)
            return self._rest[key]

    def _watching(self, full_name: str) -> Watch:
        return Watch(self, full_name, self._of(full_name))


class Watch:
    """Sees what a push does to the references, and tells of it once it is over."""

    def __init__(self, github: GitHubStandIn, full_name: str, rest: Rest) -> None:
        self._github = github
        self._reads = GitReads(github.bare(full_name))
        self._rest = rest
        self._before: dict[str, str] = {}

    def __enter__(self) -> None:
        self._before = self._reads.refs() if self._reads.bare.exists() else {}

    def __exit__(self, *_: object) -> None:
        after = self._reads.refs()
        names = sorted(name for name in {*self._before, *after} if self._before.get(name) != after.get(name))
        changes = [self._change(name, after) for name in names]
        self._rest.previous.update((change.ref, change.before) for change in changes if change.before != _NOTHING)
        if changes and self._github.on_push is not None:
            self._github.on_push(changes)

    def _change(self, name: str, after: dict[str, str]) -> RefChange:
        old, new = self._before.get(name, _NOTHING), after.get(name, _NOTHING)
        forced = False
        if _NOTHING not in {old, new} and name.startswith("refs/heads/"):
            forced = self._reads.git("rev-list", "--max-count=1", old, f"^{new}") != b""
        return RefChange(ref=name, before=old, after=new, forced=forced)


def _seen(received: Received, answer: Reply, started: float, ended: float) -> Seen:
    kind: Literal["rest", "git", "download", "control"] = "git"
    if received.path.startswith(API):
        kind = "rest"
    elif received.path.startswith(_CODELOAD):
        kind = "download"
    elif received.path.startswith("_control"):
        kind = "control"
    return Seen(
        kind=kind,
        method=received.method,
        path=received.path,
        query=received.query,
        status=answer.status,
        headers=tuple(received.headers),
        started=started,
        ended=ended,
        request_bytes=len(received.body),
        response_bytes=len(answer.body),
    )
