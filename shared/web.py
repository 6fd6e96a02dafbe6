"""HTTP on the border: routes, bounded bodies, and the one place where errors become status codes.

What a request means is left to the functions; nothing here knows about skills.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import flask

from shared import log
from shared.config import running
from shared.core.canonical import parse_object
from shared.errors import (
    ConfigError,
    ConflictError,
    DeadlineError,
    DeniedError,
    InputError,
    NotFoundError,
    NotYetError,
    PausedError,
    ProbeError,
    RejectedError,
    SkillSyncError,
    UnavailableError,
    UnverifiedError,
)
from shared.log.trace import trace_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

MAX_SMALL_BODY_BYTES = 1024 * 1024
_DRAIN_BYTES = 48 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_EXECUTION = re.compile("[0-9A-Za-z]{12}")
_NO_CONTENT = 204
_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a handler answers. `body` is sent as it is when it is bytes, else as JSON."""

    status: int = 200
    body: bytes | Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request with the parameters that its path holds."""

    request: flask.Request
    params: Mapping[str, str]

    def header(self, name: str) -> str | None:
        """Return a header's value, None when it was not sent."""
        value = self.request.headers.get(name)
        return None if value is None else str(value)

    def query(self, name: str) -> str | None:
        """Return a query parameter, None when it was not sent."""
        value = self.request.args.get(name)
        return None if value is None else str(value)

    def body(self, limit: int = MAX_SMALL_BODY_BYTES) -> bytes:
        """Read the body, at most `limit` bytes.

        Raises:
            InputError: `BODY_TOO_LARGE` (413).
        """
        declared = self.request.content_length
        if declared is not None and declared > limit:
            raise InputError("BODY_TOO_LARGE", f"at most {limit} bytes, got {declared}", status=413)
        stream = self.request.stream
        parts: list[bytes] = []
        size = 0
        while chunk := stream.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise InputError("BODY_TOO_LARGE", f"at most {limit} bytes", status=413)
            parts.append(chunk)
        return b"".join(parts)

    def document(self) -> dict[str, object]:
        """Read the body as one JSON object; an empty body means `{}`, whatever its content type.

        Raises:
            InputError: `BODY_TOO_LARGE`, `JSON_INVALID`, `JSON_TOO_DEEP`.
        """
        data = self.body()
        return parse_object(data, what="the body") if data.strip() else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method and path. `{name}` in the path stands for one segment; `home` also serves the function's own root."""

    method: str
    path: str
    handler: Callable[[Call], Reply]
    home: bool = False

    def match(self, path: str) -> dict[str, str] | None:
        """Return the path's parameters, None when it is another path."""
        if self.home and path in {"", "/"}:
            return {}
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return None if found is None else found.groupdict()


def serve(request: flask.Request, routes: Sequence[Route]) -> flask.Response:
    """Answer a request: find its route, call the handler, turn errors into status codes; each line of the log says whose."""
    with log.scope(_origin(request)):
        return _answered(request, routes)


def _origin(request: flask.Request) -> dict[str, object]:
    process = running()
    execution = request.headers.get("Function-Execution-Id", "")
    labels = {
        "function": process.function,
        "channel": process.channel,
        # The framework gives every request one; what is not of its form came from the caller.
        "execution_id": execution if _EXECUTION.fullmatch(execution) else None,
    }
    trace = trace_fields(
        traceparent=request.headers.get("traceparent"),
        google=request.headers.get("X-Cloud-Trace-Context"),
        project=process.project,
    )
    return {**trace, log.LABELS: {name: value for name, value in labels.items() if value}}


def _answered(request: flask.Request, routes: Sequence[Route]) -> flask.Response:
    try:
        matching = [(route, params) for route in routes if (params := route.match(request.path)) is not None]
        route, params = _by_method(request.method, matching)
        reply = _encoded(route.handler(Call(request=request, params=params)))
    except SkillSyncError as error:
        reply = _encoded(reply_to(error))
    except Exception as error:  # noqa: BLE001 - the outermost edge: nothing of ours may leave as a traceback
        log.unexpected(error)
        reply = _encoded(Reply(status=_SERVER_ERROR, body={"error": "unexpected error", "code": "INTERNAL"}))
    return _response(request, reply)


def reply_to(error: SkillSyncError) -> Reply:
    """Turn an error into an answer: a stable code, a sentence, never a traceback."""
    status = next(code for kind, code in _STATUSES if isinstance(error, kind))
    if isinstance(error, InputError):
        status = error.status
    headers: dict[str, str] = {}
    if isinstance(error, UnavailableError | NotYetError):
        headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
    if status in {502, 503}:
        log.warning("Call failed", code=error.code, detail=error.message)
    body: dict[str, object] = {"error": error.message, "code": error.code}
    if isinstance(error, PausedError):
        body |= {"reasons": list(error.reasons), "next_action": error.next_action}
    if isinstance(error, ProbeError):
        body["checks"] = [asdict(check) for check in error.checks]
    return Reply(status=status, body=body, headers=headers)


_STATUSES: tuple[tuple[type[SkillSyncError], int], ...] = (
    (InputError, 400),
    (DeniedError, 401),
    (NotFoundError, 404),
    (UnverifiedError, 409),
    (PausedError, 409),
    (ConfigError, 503),
    (RejectedError, 502),  # the source refuses us: no retry of this call mends it
    (DeadlineError, 202),
    (UnavailableError, 503),
    (ConflictError, 409),
    (SkillSyncError, 500),
)


def _by_method(method: str, matching: Iterable[tuple[Route, dict[str, str]]]) -> tuple[Route, dict[str, str]]:
    found = list(matching)
    for route, params in found:
        if route.method == method or (method == "HEAD" and route.method == "GET"):
            return route, params
    if found:
        allowed = ", ".join(sorted({route.method for route, _ in found}))
        raise InputError("METHOD_NOT_ALLOWED", f"allowed: {allowed}", status=405)
    raise NotFoundError("ROUTE_UNKNOWN", "there is nothing at this path")


def _encoded(reply: Reply) -> Reply:
    if isinstance(reply.body, bytes):
        body, kind = reply.body, "application/octet-stream"
    else:
        # All but ASCII stands escaped: whatever text an answer holds, it can be sent.
        body, kind = b"" if reply.body is None else json.dumps(reply.body).encode() + b"\n", "application/json"
    headers = reply.headers if reply.status == _NO_CONTENT else {"Content-Type": kind, **reply.headers}
    return Reply(status=reply.status, body=body, headers=headers)


def _response(request: flask.Request, reply: Reply) -> flask.Response:
    body = reply.body if isinstance(reply.body, bytes) else b""
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **reply.headers}
    # Whatever the caller is still sending is taken and thrown away up to a bound, or it would never read our answer. The
    # framework reads the rest of the body into memory unless the answer is streamed: beyond the bound it must not.
    content = body if _drained(request) else iter([body])
    return flask.Response(content, status=reply.status, headers=headers)


def _drained(request: flask.Request) -> bool:
    left = _DRAIN_BYTES
    while left > 0:
        chunk = request.stream.read(_CHUNK_BYTES)
        if not chunk:
            return True
        left -= len(chunk)
    return False
