"""The stand-in's REST API for one repository: paths and answers as GitHub documents them.

Who may ask, limits and faults are server.py's business. Source: https://docs.github.com/en/rest
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs, unquote

from tests.git_server import Received, Reply
from tests.github.git_reads import GitError, GitReads, Json

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.github.switches import Switches

FILES = 300
_RAW = ("application/vnd.github.raw", "application/vnd.github.raw+json")
_SHA = "application/vnd.github.sha"
_ID = re.compile(r"[0-9a-f]{40}")


class Hooks(Protocol):
    """What deliveries.py keeps."""

    def hooks(self) -> list[Json]: ...
    def hook(self, hook_id: int) -> Json | None: ...
    def deliveries(self, hook_id: int, per_page: int, cursor: str | None) -> tuple[list[Json], str | None]: ...
    def delivery(self, hook_id: int, delivery_id: int) -> Json | None: ...
    def redeliver(self, hook_id: int, delivery_id: int) -> bool: ...
    def create(self, asked: Json) -> Json | None: ...
    def configure(self, hook_id: int, config: Json) -> None: ...
    def change(self, hook_id: int, asked: Json) -> None: ...
    def ping(self, hook_id: int) -> None: ...


class Rest:
    """Answers what lies below `/repos/<owner>/<name>`.

    Args:
        reads: The repository.
        full_name: `<owner>/<name>`.
        switches: What goes wrong.

    Attributes:
        previous: What references were before the last push.
        links: One-time tokens of archives, with the commit.
    """

    def __init__(self, reads: GitReads, full_name: str, switches: Switches) -> None:
        self.previous: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self._reads = reads
        self._full_name = full_name
        self._switches = switches
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Reply]]] = [
            ("GET", re.compile(r""), self._repository),
            ("GET", re.compile(r"/commits/(.+)"), self._commit),
            ("GET", re.compile(r"/git/commits/([^/]+)"), self._git_commit),
            ("GET", re.compile(r"/git/trees/([^/]+)"), self._tree),
            ("GET", re.compile(r"/git/blobs/([^/]+)"), self._blob),
            ("GET", re.compile(r"/compare/(.+)\.\.\.(.+)"), self._compare),
        ]

    def answer(self, received: Received, below: str) -> Reply | None:
        """Answer a request; None when there is no such path."""
        for method, pattern, call in self._routes:
            match = pattern.fullmatch(unquote(below))
            if match and received.method == method:
                return call(received, *match.groups())
        return None

    def link(self, ref: str) -> str | None:
        """Make a link's token for the archive of a commit; None when there is no such commit."""
        try:
            _, commit = self._reads.find(ref)
        except GitError:
            return None
        token = secrets.token_hex(16)
        self.links[token] = commit
        return token

    def archive(self, token: str) -> Reply:
        """Answer a link."""
        commit = self.links.get(token)
        if commit is None:
            return Reply(404, {}, b"404: Not Found")
        prefix = f"{self._full_name.replace('/', '-')}-{commit[:7]}"
        return Reply(200, {"Content-Type": "application/x-gzip"}, self._reads.archive(commit, prefix))

    def _repository(self, _: Received) -> Reply:
        owner, _, name = self._full_name.partition("/")
        return reply(
            200,
            {
                "name": name,
                "full_name": self._full_name,
                "owner": {"login": owner},
                "private": True,
                "default_branch": self._reads.default_branch(),
            },
        )

    def _commit(self, received: Received, ref: str) -> Reply:
        if not self._reads.refs():
            return message(409, "Git Repository is empty.")
        try:
            name, commit = self._reads.find(ref)
        except GitError:
            return message(422, f"No commit found for SHA: {ref}")
        if name in self.previous and self._switches.refs_lag > 0:
            self._switches.refs_lag -= 1
            commit = self.previous[name]
        if not received.headers.get("accept", "").startswith(_SHA):
            return reply(200, self._reads.commit(commit))
        headers = {"Content-Type": f"{_SHA}; charset=utf-8", "ETag": f'"{commit}"'}
        if received.headers.get("if-none-match", "").removeprefix("W/") == f'"{commit}"':
            return Reply(304, {"ETag": headers["ETag"]})
        return Reply(200, headers, commit.encode())

    def _git_commit(self, _: Received, sha: str) -> Reply:
        try:
            commit = self._reads.commit(self._reads.find(sha)[1])
        except GitError:
            return _not_found()
        described = commit["commit"]
        assert isinstance(described, dict)
        return reply(200, {"sha": commit["sha"], **described, "parents": commit["parents"]})

    def _tree(self, received: Received, name: str) -> Reply:
        recursive = bool(parse_qs(received.query).get("recursive"))
        if not self._reads.refs():
            return message(409, "Git Repository is empty.")
        try:
            sha, entries = self._reads.tree(name, recursive=recursive)
        except GitError:
            return _not_found()
        most = self._switches.truncate_trees_above
        truncated = recursive and 0 < most < len(entries)
        return reply(200, {"sha": sha, "tree": entries[:most] if truncated else entries, "truncated": truncated})

    def _blob(self, received: Received, name: str) -> Reply:
        try:
            data = self._reads.blob(name)
        except GitError:
            return _not_found()
        if received.headers.get("accept", "").split(";")[0] in _RAW:
            return Reply(200, {"Content-Type": f"{_RAW[0]}; charset=utf-8"}, data)
        content = base64.encodebytes(data).decode()
        return reply(200, {"sha": name, "size": len(data), "encoding": "base64", "content": content})

    def _compare(self, received: Received, base: str, head: str) -> Reply:
        try:
            status, ahead, behind = self._reads.compare(base, head)
            first = parse_qs(received.query).get("page", ["1"])[-1] == "1"
            files = self._reads.changed(base, head, FILES) if first else []
        except GitError:
            return _not_found()
        return reply(
            200,
            {
                "status": status,
                "ahead_by": ahead,
                "behind_by": behind,
                "total_commits": ahead,
                "commits": [],
                "files": files,
            },
        )


def hook_routes(hooks: Hooks, received: Received, below: str) -> Reply | None:
    """Answer what lies below `/repos/<owner>/<name>/hooks`; None when there is no such path.

    Source: https://docs.github.com/en/rest/repos/webhooks
    """
    if below == "/hooks":
        return reply(200, hooks.hooks()) if received.method == "GET" else _created(hooks, received)
    match = re.fullmatch(r"/hooks/(\d+)(?:/pings|/config|/deliveries(?:/(\d+)(/attempts)?)?)?", below)
    if match is None:
        return None
    hook = int(match[1])
    if hooks.hook(hook) is None:
        return _not_found()
    if "/deliveries" in below:
        return _deliveries(hooks, received, hook, match)
    return _changed(hooks, received, hook, below)


def _created(hooks: Hooks, received: Received) -> Reply:
    asked = _object(received)
    created = None if asked is None else hooks.create(asked)
    return message(422, "Validation Failed") if created is None else reply(201, created)


def _changed(hooks: Hooks, received: Received, hook: int, below: str) -> Reply:
    asked = _object(received)
    if (received.method, below.rpartition("/")[2]) == ("POST", "pings"):
        hooks.ping(hook)
        return Reply(204)
    if (received.method, below.rpartition("/")[2]) == ("PATCH", "config") and asked is not None:
        hooks.configure(hook, asked)
        return reply(200, (hooks.hook(hook) or {})["config"])
    if received.method == "PATCH" and below.endswith(f"/{hook}") and asked is not None:
        hooks.change(hook, asked)
        return reply(200, hooks.hook(hook))
    return reply(200, hooks.hook(hook)) if received.method == "GET" and below.endswith(f"/{hook}") else _not_found()


def _object(received: Received) -> Json | None:
    try:
        asked = json.loads(received.body or b"{}")
    except ValueError:
        return None
    return asked if isinstance(asked, dict) else None


def _deliveries(hooks: Hooks, received: Received, hook: int, match: re.Match[str]) -> Reply:
    query = {key: values[-1] for key, values in parse_qs(received.query).items()}
    if match[2] is None:
        page, cursor = hooks.deliveries(hook, int(query.get("per_page", "30")), query.get("cursor"))
        link = {} if cursor is None else {"Link": f'<{received.path}?cursor={cursor}>; rel="next"'}
        return reply(200, page, link)
    if match[3]:
        return reply(202, {}) if received.method == "POST" and hooks.redeliver(hook, int(match[2])) else _not_found()
    found = hooks.delivery(hook, int(match[2]))
    return _not_found() if found is None else reply(200, found)


def reply(status: int, body: object, headers: Json | None = None) -> Reply:
    """Make an answer in JSON."""
    more = {name: str(value) for name, value in (headers or {}).items()}
    return Reply(status, {"Content-Type": "application/json; charset=utf-8", **more}, json.dumps(body).encode())


def message(status: int, text: str, headers: Json | None = None) -> Reply:
    """Make a refusal as GitHub words it."""
    return reply(
        status, {"message": text, "documentation_url": "https://docs.github.com/rest", "status": str(status)}, headers
    )


def _not_found() -> Reply:
    return message(404, "Not Found")
