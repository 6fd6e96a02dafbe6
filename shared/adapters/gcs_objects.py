"""The four requests of Google Cloud Storage's JSON API that a store needs, and what their answers say.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import google_crc32c

from shared.adapters.gcs_border import DamagedError
from shared.adapters.gcs_http import Ask
from shared.adapters.google_answers import within
from shared.core.canonical import member, parse_object
from shared.ports import StoredName, StoredObject

if TYPE_CHECKING:
    from shared.adapters.gcs_http import GcsHttp
    from shared.adapters.lean_httpx import httpx

_KIND: Final = "application/octet-stream"
_LISTED: Final = "items(name,generation,size,updated),nextPageToken"
_ANSWER_BYTES: Final = 8 * 2**20
"""A page has at most 1,000 lines, and a line at most a name of 1,024 bytes and three numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Lines of a listing, under their whole names, and the token of the next page; empty when this is the last one."""

    lines: tuple[StoredName, ...]
    next_token: str


class GcsObjects:
    """The objects of one bucket. Every method raises what `GcsHttp.send` raises.

    Args:
        http: Sends the requests.
        bucket: The bucket.
        max_object_bytes: Larger objects are not read.
    """

    def __init__(self, http: GcsHttp, bucket: str, *, max_object_bytes: int) -> None:
        self._http = http
        self._objects = f"/storage/v1/b/{quote(bucket, safe='')}/o"
        self._max_object_bytes = max_object_bytes

    def read(self, name: str) -> StoredObject:
        """Read an object whole, as it is stored, and prove it by its checksum."""

        def take(response: httpx.Response) -> StoredObject:
            stored = StoredObject(
                data=within(self._max_object_bytes, response.iter_raw()),
                generation=int(response.headers["x-goog-generation"]),
            )
            if _checksum(stored.data) != _told_checksum(response.headers["x-goog-hash"]):
                raise DamagedError
            return stored

        path = f"/download{self._objects}/{quote(name, safe='')}"
        return self._http.send(Ask(method="GET", path=path, query={"alt": "media"}), take)

    def write(self, name: str, data: bytes, *, if_generation: int) -> int:
        """Write an object whole, in one request; the service proves the content by its checksum.

        Returns:
            The new generation.
        """
        kind, body = _multipart({"name": name, "contentType": _KIND, "crc32c": _checksum(data)}, data)
        ask = Ask(
            method="POST",
            path=f"/upload{self._objects}",
            query={"uploadType": "multipart", "ifGenerationMatch": str(if_generation)},
            headers={"Content-Type": kind},
            body=body,
        )
        return self._http.send(ask, lambda response: int(member(_json(response), "generation", str, what="an upload")))

    def delete(self, name: str, *, if_generation: int) -> None:
        """Delete an object at that generation."""
        path = f"{self._objects}/{quote(name, safe='')}"
        ask = Ask(method="DELETE", path=path, query={"ifGenerationMatch": str(if_generation)})
        self._http.send(ask, lambda response: within(_ANSWER_BYTES, response.iter_bytes()))

    def page(self, prefix: str, *, first: str, most: int, token: str) -> Page:
        """List a page of names in order.

        Args:
            prefix: What they begin with.
            first: None of them sorts before this; empty for no such bound.
            most: How many there are at most.
            token: Of the page; empty for the first one.
        """
        bounds = {"prefix": prefix, "startOffset": first, "pageToken": token}
        fixed = {"maxResults": str(most), "projection": "noAcl", "prettyPrint": "false", "fields": _LISTED}
        query = {**{name: value for name, value in bounds.items() if value}, **fixed}
        return self._http.send(
            Ask(method="GET", path=self._objects, query=query), lambda response: _page(_json(response))
        )


def _page(document: dict[str, object]) -> Page:
    items = member({"items": [], **document}, "items", list, what="a listing")
    token = member({"nextPageToken": "", **document}, "nextPageToken", str, what="a listing")
    return Page(lines=tuple(_line(item) for item in items), next_token=token)


def _line(item: object) -> StoredName:
    told = {key: member(item, key, str, what="a line") for key in ("name", "generation", "size", "updated")}
    return StoredName(
        name=told["name"],
        generation=int(told["generation"]),
        size=int(told["size"]),
        updated_at=datetime.fromisoformat(told["updated"]),
    )


def _json(response: httpx.Response) -> dict[str, object]:
    return parse_object(within(_ANSWER_BYTES, response.iter_bytes()), what="an answer")


def _multipart(described: dict[str, str], data: bytes) -> tuple[str, bytes]:
    """Return the content type and the body of an upload: the object's description, then its content (RFC 2387)."""
    boundary = token_hex(16)
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{json.dumps(described)}\r\n"
        f"--{boundary}\r\nContent-Type: {_KIND}\r\n\r\n"
    )
    return f"multipart/related; boundary={boundary}", b"".join(
        [head.encode(), data, f"\r\n--{boundary}--\r\n".encode()]
    )


def _checksum(data: bytes) -> str:
    """Return the CRC32C as the service writes it: base64 of four bytes, the highest first."""
    return base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()


def _told_checksum(header: str) -> str:
    """Read the CRC32C from `x-goog-hash`, where it may stand beside an MD5.

    Raises:
        ValueError: there is none.
    """
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        if name == "crc32c":
            return value
    raise ValueError("no crc32c")
