"""Google Cloud Storage's JSON API in memory: objects with generations and every precondition, as far as a store needs it.

No sockets here: `answer` takes a request and gives the answer; adapter.py mounts it under our store, server.py serves it.
Source: https://cloud.google.com/storage/docs/json_api/v1
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Query = dict[str, str]
_OBJECTS = re.compile(
    r"/(?P<kind>upload/|download/)?storage/v1/b/(?P<bucket>[^/]+)(?P<objects>/o(?:/(?P<name>[^/]+))?)?"
)
_RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")
_CHUNK = re.compile(r"bytes (?:([0-9]+)-([0-9]+)|\*)/([0-9]+|\*)")
_OK, _NO_CONTENT, _PARTIAL, _RESUME, _BAD, _NOT_FOUND, _FAILED, _TOO_MANY = 200, 204, 206, 308, 400, 404, 412, 429
_A_SECOND = 1.0
_NO_BUCKET = "The specified bucket does not exist."


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; header names in lower case."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def query(self) -> Query:
        """The last value of each query parameter."""
        return {key: values[-1] for key, values in parse_qs(urlsplit(self.url).query, keep_blank_values=True).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer."""

    status: int = _OK
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One generation of an object."""

    data: bytes
    generation: int
    updated: datetime
    kind: str
    encoding: str = "identity"

    @property
    def crc32c(self) -> str:
        return base64.b64encode(google_crc32c.Checksum(self.data).digest()).decode()

    @property
    def md5(self) -> str:
        return base64.b64encode(hashlib.md5(self.data, usedforsecurity=False).digest()).decode()


class Refused(Exception):  # noqa: N818 - it is an answer, not a mistake
    """An answer that ends the request."""

    def __init__(self, status: int, message: str, reason: str) -> None:
        super().__init__(message)
        error = {
            "code": status,
            "message": message,
            "errors": [{"message": message, "domain": "global", "reason": reason}],
        }
        self.reply = Reply(status=status, headers=_JSON, body=json.dumps({"error": error}).encode())
        self.plain = Reply(status=status, headers={"Content-Type": "text/html; charset=UTF-8"}, body=message.encode())


@dataclass(slots=True, kw_only=True)
class _Upload:
    """A resumable upload under way; `done` is its answer once it is complete."""

    query: Query
    meta: dict[str, object]
    held: bytes = b""
    done: Reply | None = None


_JSON = {"Content-Type": "application/json; charset=UTF-8"}


class Gcs:
    """The service.

    Args:
        buckets: The buckets that exist.
        clock: Seconds, for the rule of one write a second.

    Attributes:
        one_write_a_second: Whether a second write to one name within a second is answered 429, as the service may do.
        page_size: The most that one page of a listing holds.
    """

    def __init__(self, *buckets: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.one_write_a_second = False
        self.page_size = 1000
        self._clock = clock
        self._objects: dict[str, dict[str, Stored]] = {bucket: {} for bucket in buckets}
        self._uploads: dict[str, _Upload] = {}
        self._written: dict[tuple[str, str], float] = {}
        self._generation = time.time_ns() // 1000
        self._lock = threading.Lock()

    def create_bucket(self, name: str) -> None:
        """Add a bucket."""
        with self._lock:
            self._objects.setdefault(name, {})

    def stored(self, bucket: str) -> dict[str, bytes]:
        """What a bucket holds."""
        with self._lock:
            return {name: item.data for name, item in self._objects[bucket].items()}

    def keep(self, bucket: str, name: str, data: bytes, *, encoding: str = "identity") -> None:
        """Put an object there, under whatever name, as somebody else may."""
        meta = {"name": name, "contentType": "text/plain", "contentEncoding": encoding}
        with self._lock:
            self._write({}, self._objects[bucket], bucket, meta, data)

    def answer(self, request: Request) -> Reply:
        """Answer one request; requests take effect one after the other."""
        match = _OBJECTS.fullmatch(urlsplit(request.url).path)
        try:
            with self._lock:
                if match is None:
                    raise Refused(_NOT_FOUND, "Not Found", "notFound")
                if match["objects"] is None:
                    return self._describe_bucket(match["bucket"])
                return self._route(request, match["kind"] or "", match["bucket"], match["name"])
        except Refused as refused:
            # Where content is asked for, the service says what is wrong in plain text.
            return refused.reply if match is None or match["kind"] != "download/" else refused.plain

    def _describe_bucket(self, bucket: str) -> Reply:
        if unquote(bucket) not in self._objects:
            raise Refused(_NOT_FOUND, _NO_BUCKET, "notFound")
        return Reply(headers=_JSON, body=json.dumps({"kind": "storage#bucket", "name": unquote(bucket)}).encode())

    def _route(self, request: Request, kind: str, bucket: str, name: str | None) -> Reply:
        objects = self._objects.get(unquote(bucket))
        if objects is None:
            raise Refused(_NOT_FOUND, _NO_BUCKET, "notFound")
        if kind == "upload/":
            return self._upload(request, objects, bucket)
        if name is None:
            return self._list(request.query, objects)
        found = objects.get(unquote(name))
        _check(request.query, found)
        if found is None:
            raise Refused(_NOT_FOUND, f"No such object: {bucket}/{unquote(name)}", "notFound")
        if request.method == "DELETE":
            self._pace(bucket, unquote(name))
            del objects[unquote(name)]
            return Reply(status=_NO_CONTENT)
        if request.query.get("alt") == "media":
            return _media(request, found)
        return Reply(headers=_JSON, body=json.dumps(_described(unquote(name), found)).encode())

    def _list(self, query: Query, objects: Mapping[str, Stored]) -> Reply:
        first = max(query.get("startOffset", ""), query.get("pageToken", ""))
        names = sorted(name for name in objects if name.startswith(query.get("prefix", "")) and name >= first)
        size = min(int(query.get("maxResults", "1000")), self.page_size)
        page: dict[str, object] = {"kind": "storage#objects"}
        page["items"] = [_described(name, objects[name]) for name in names[:size]]
        if len(names) > size:
            page["nextPageToken"] = names[size]
        return Reply(headers=_JSON, body=json.dumps(page).encode())

    def _upload(self, request: Request, objects: dict[str, Stored], bucket: str) -> Reply:
        query = request.query
        if query.get("uploadType") == "multipart":
            meta, data = _parts(request)
            return self._write(query, objects, bucket, meta, data)
        if "upload_id" in query:
            return self._resume(request, self._uploads[query["upload_id"]], objects, bucket)
        meta = {"contentType": request.headers.get("x-upload-content-type", ""), **json.loads(request.body)}
        _check(query, objects.get(str(meta["name"])))
        key = f"upload-{len(self._uploads) + 1}"
        self._uploads[key] = _Upload(query=query, meta=meta)
        return Reply(headers={"Location": f"{request.url}&upload_id={key}"})

    def _resume(self, request: Request, upload: _Upload, objects: dict[str, Stored], bucket: str) -> Reply:
        if upload.done is not None:
            return upload.done
        match = _CHUNK.fullmatch(request.headers.get("content-range", ""))
        first = len(upload.held) if match is None or match[1] is None else int(match[1])
        if match is None or first > len(upload.held):
            raise Refused(_BAD, "Invalid request.", "invalid")
        upload.held += request.body[len(upload.held) - first :]  # what is held already is passed over
        if match[3] == "*" or len(upload.held) < int(match[3]):
            held = {"Range": f"bytes=0-{len(upload.held) - 1}"} if upload.held else {}
            return Reply(status=_RESUME, headers=held)
        if "x-goog-hash" in request.headers:
            upload.meta["crc32c"] = request.headers["x-goog-hash"].removeprefix("crc32c=")
        # The precondition holds for the moment at which the object comes to be.
        upload.done = self._write(upload.query, objects, bucket, upload.meta, upload.held)
        return upload.done

    def _write(
        self, query: Query, objects: dict[str, Stored], bucket: str, meta: Mapping[str, object], data: bytes
    ) -> Reply:
        name = str(meta["name"])
        _check(query, objects.get(name))
        self._pace(bucket, name)
        self._generation = max(self._generation + 1, time.time_ns() // 1000)
        stored = Stored(
            data=data,
            generation=self._generation,
            updated=datetime.now(UTC),
            kind=str(meta.get("contentType")),
            encoding=str(meta.get("contentEncoding") or "identity"),
        )
        if meta.get("crc32c") not in {None, stored.crc32c}:
            raise Refused(_BAD, "Provided CRC32C doesn't match calculated CRC32C.", "invalid")
        objects[name] = stored
        return Reply(headers=_JSON, body=json.dumps(_described(name, stored)).encode())

    def _pace(self, bucket: str, name: str) -> None:
        now, last = self._clock(), self._written.get((bucket, name))
        if self.one_write_a_second and last is not None and now - last < _A_SECOND:
            raise Refused(
                _TOO_MANY, "The object exceeded the rate limit for object mutation operations.", "rateLimitExceeded"
            )
        self._written[bucket, name] = now


def _check(query: Query, found: Stored | None) -> None:
    wanted = query.get("ifGenerationMatch")
    if wanted is not None and int(wanted) != (0 if found is None else found.generation):
        raise Refused(_FAILED, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet")
    if "generation" in query and (found is None or int(query["generation"]) != found.generation):
        raise Refused(_NOT_FOUND, "No such object", "notFound")


def _media(request: Request, found: Stored) -> Reply:
    headers = {
        "Content-Type": found.kind,
        "X-Goog-Generation": str(found.generation),
        "X-Goog-Hash": f"crc32c={found.crc32c},md5={found.md5}",
        "X-Goog-Stored-Content-Encoding": found.encoding,
        "X-Goog-Stored-Content-Length": str(len(found.data)),
    }
    if found.encoding != "identity":
        headers["Content-Encoding"] = found.encoding
    part = _RANGE.fullmatch(request.headers.get("range", ""))
    if part is None:
        return Reply(headers=headers, body=found.data)
    first, last = int(part[1]), int(part[2] or len(found.data) - 1)
    headers["Content-Range"] = f"bytes {first}-{last}/{len(found.data)}"
    return Reply(status=_PARTIAL, headers=headers, body=found.data[first : last + 1])


def _described(name: str, stored: Stored) -> dict[str, object]:
    return {
        "kind": "storage#object",
        "name": name,
        "generation": str(stored.generation),
        "metageneration": "1",
        "size": str(len(stored.data)),
        "updated": stored.updated.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stored.updated.microsecond // 1000:03d}Z",
        "crc32c": stored.crc32c,
        "md5Hash": stored.md5,
        "contentType": stored.kind,
    }


def _parts(request: Request) -> tuple[dict[str, object], bytes]:
    """Split a multipart/related body (RFC 2387) into the object's description and its content."""
    head = Message()
    head["Content-Type"] = request.headers["content-type"]
    boundary = b"--" + str(head.get_param("boundary")).encode()
    described, content = request.body.split(boundary, 2)[1:]
    meta = json.loads(described.partition(b"\r\n\r\n")[2])
    lines, _, data = content.partition(b"\r\n\r\n")
    kind = lines.decode().partition(":")[2].strip()
    return {"contentType": kind, **meta}, data[: data.rindex(b"\r\n" + boundary)]
