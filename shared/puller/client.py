"""The release function over HTTP: bounded in size and time, and every fault of it one of our errors.

What the bytes mean, and whether they may be believed, is left to `core.verify` and to the installer.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

import httpx

from shared.core.canonical import digest_of, parse_object
from shared.core.envelope import MAX_ENVELOPE_BYTES
from shared.errors import (
    DeadlineError,
    DeniedError,
    InputError,
    NotFoundError,
    SkillSyncError,
    UnavailableError,
    UnverifiedError,
)
from shared.puller.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from shared.model import DeploymentId, Digest
    from shared.ports import Clock

    _Read = Callable[[httpx.Response, float], bytes]

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
PAUSES_SECONDS = (0.2, 0.8)
"""Between the tries of one GET; there is one try more than pauses."""
BODY_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 64 * 1024
"""A body may take `BODY_SECONDS`, and what its size takes at this speed."""
_MAX_ERROR_BYTES = 4096
_RETRIED = frozenset({"RELEASE_UNREACHABLE", "RELEASE_UNAVAILABLE", "BODY_TRUNCATED"})
_CODE = re.compile(r"[A-Za-z_]{1,64}")
_OK, _NO_CONTENT, _NOT_MODIFIED, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR = 200, 204, 304, 404, 429, 500
_DENIED, _MALFORMED, _PASSING = frozenset({401, 403}), frozenset({400, 413, 415, 422}), frozenset({502, 503, 504})


class ReleaseClient:
    """What the puller asks of the release function.

    Every method raises UnavailableError when asking again may help (`RELEASE_UNREACHABLE`, `RELEASE_UNAVAILABLE`,
    `RELEASE_FAILED`, `RELEASE_UNEXPECTED`, `BODY_TOO_LARGE`, `BODY_TOO_SLOW`, `BODY_TRUNCATED`) and DeniedError
    `PULLER_KEY_REFUSED` when the key is not accepted.

    Args:
        http: Knows base URL, key and timeouts, and follows no redirects.
        clock: Measures how long a body takes, and waits between tries.
        wire: Cuts off what takes too long, and everything when the process was asked to end.
    """

    def __init__(self, http: httpx.Client, clock: Clock, wire: Wire | None = None) -> None:
        self._wire = wire or Wire(clock)
        self._http = http
        self._clock = clock
        self._unchanged: dict[tuple[str, str | None], httpx.Request] = {}
        self.announced_trust = 0
        """The newest version of the trust that the release function named; nothing is believed for that."""

    def current(self, etag: str | None) -> bytes | None:
        """Read the pointer's envelope.

        Args:
            etag: The entity tag of the envelope that is known already.

        Returns:
            The envelope, not verified; None when it is the known one.

        Raises:
            NotFoundError: `NO_DEPLOYMENT`, nothing was ever deployed.
            UnverifiedError: `pointer_unverifiable`, it is too large to be one.
        """
        try:
            return self._envelope("/v1/current", "pointer_unverifiable", etag=etag)
        except NotFoundError as error:
            if error.code == "NO_DEPLOYMENT":
                raise
            # Any web server answers 404 on unknown paths; only the release function says that nothing was deployed.
            raise UnavailableError(
                "RELEASE_UNEXPECTED", "expected the pointer, got 404; is RELEASE_URL right?", retry_after_seconds=0
            ) from None

    def bundle_object(self, digest: Digest, size: int) -> bytes:
        """Read a manifest or archive and prove that it is the one.

        Args:
            digest: Its SHA-256.
            size: Its size in bytes, as a signed document names it; nothing of another size is read.

        Raises:
            NotFoundError: `OBJECT_MISSING`.
            UnverifiedError: `bundle_mismatch`, size or digest is another.
        """
        data = self._get(f"/v1/objects/{digest}", most=size, exact=True)
        if data is None or digest_of(data) != digest:
            raise UnverifiedError("bundle_mismatch", f"the object {digest} came with another content")
        return data

    def stream_object(self, digest: Digest, size: int, take: Callable[[Iterator[bytes]], None]) -> None:
        """Hand a manifest over piece by piece, so that it is never in memory as a whole; errors as for `bundle_object`.

        Args:
            digest: Its SHA-256.
            size: Its size in bytes.
            take: Called with the pieces, again from the beginning when a try fails. What it got counts only when this
                method returns.
        """

        def all_of(response: httpx.Response, started: float) -> bytes:
            checksum, count = sha256(), 0

            def noted() -> Iterator[bytes]:
                nonlocal count
                for chunk in self._chunks(response, size, started):
                    checksum.update(chunk)
                    count += len(chunk)
                    yield chunk

            take(noted())
            if count < size:
                raise _unavailable("BODY_TRUNCATED", f"the object {digest} ended after {count} bytes")
            if checksum.hexdigest() != digest:
                raise UnverifiedError("bundle_mismatch", f"the object {digest} came with another content")
            return b""

        self._get(f"/v1/objects/{digest}", most=size, exact=True, read=all_of)

    def trust(self, version: int) -> bytes:
        """Read one version of the trust, not verified.

        Raises:
            NotFoundError: `TRUST_UNKNOWN`.
        """
        return self._envelope(f"/v1/trust/{version}", "trust_invalid") or b""

    def record(self, deployment: DeploymentId) -> bytes:
        """Read the signed envelope of one deployment, not verified.

        Raises:
            NotFoundError: `DEPLOYMENT_UNKNOWN`.
        """
        return self._envelope(f"/v1/deployments/{deployment}", "pointer_unverifiable") or b""

    def report(self, document: Mapping[str, object]) -> None:
        """Tell how the volume stands; tried once, the next poll tries again.

        Raises:
            InputError: `REPORT_REFUSED`, it would be refused again.
        """
        started = self._clock.monotonic()
        try:
            with (
                self._wire.over(BODY_SECONDS),
                self._http.stream("POST", "/v1/report", json=document, extensions=self._wire.extensions) as response,
            ):
                if response.status_code in _MALFORMED:
                    raise InputError("REPORT_REFUSED", f"the report was answered {response.status_code}")
                if response.status_code not in {_OK, _NO_CONTENT}:
                    raise self._fault(response, started)
                if response.status_code == _NO_CONTENT:
                    response.read()  # as above
        except httpx.HTTPError as error:
            raise _unreachable(error) from None

    def _envelope(self, path: str, code: str, *, etag: str | None = None) -> bytes | None:
        try:
            return self._get(path, most=MAX_ENVELOPE_BYTES, etag=etag)
        except UnavailableError as error:
            if error.code != "BODY_TOO_LARGE":
                raise
            raise UnverifiedError(code, f"{path}: an envelope has at most {MAX_ENVELOPE_BYTES} bytes") from None

    def _get(
        self, path: str, *, most: int, exact: bool = False, etag: str | None = None, read: _Read | None = None
    ) -> bytes | None:
        for pause in PAUSES_SECONDS:
            try:
                return self._try(path, most=most, exact=exact, etag=etag, read=read)
            except UnavailableError as error:
                if error.code not in _RETRIED:
                    raise
            self._clock.sleep(pause)
            if self._wire.is_ending():
                raise DeadlineError("STOPPED", "the puller was asked to end before it was answered")
        return self._try(path, most=most, exact=exact, etag=etag, read=read)

    def _try(self, path: str, *, most: int, exact: bool, etag: str | None, read: _Read | None) -> bytes | None:
        started = self._clock.monotonic()
        try:
            with self._wire.over(_allowed_seconds(most)), self._answer(path, etag) as response:
                self._note_trust(response)
                if response.status_code == _NOT_MODIFIED and etag is not None:
                    response.read()  # it has no body; left unread, the connection would be closed, and made anew each time
                    return None
                if response.status_code != _OK:
                    raise self._fault(response, started)
                declared = _declared(response)
                if exact and declared is not None and declared != most:
                    raise UnverifiedError(
                        "bundle_mismatch", f"{path}: expected {most} bytes, the answer has {declared}"
                    )
                if read is not None:
                    return read(response, started)
                data = self._body(response, most, started)
        except httpx.HTTPError as error:
            raise _unreachable(error) from None
        if len(data) < (most if exact else declared or 0):
            raise _unavailable("BODY_TRUNCATED", f"{path}: the body ended after {len(data)} bytes")
        return data

    @contextmanager
    def _answer(self, path: str, etag: str | None) -> Iterator[httpx.Response]:
        request = self._unchanged.get((path, etag))
        if request is None:
            headers = {} if etag is None else {"If-None-Match": etag}
            request = self._http.build_request("GET", path, headers=headers, extensions=self._wire.extensions)
            # The same question is asked every two seconds: to make it anew each time costs as much as to send it.
            self._unchanged = {(path, etag): request} if etag is not None else {}
        response = self._http.send(request, stream=True)
        try:
            yield response
        finally:
            response.close()

    def _note_trust(self, response: httpx.Response) -> None:
        text = response.headers.get("X-Trust-Version", "")
        if text.isascii() and text.isdigit():
            self.announced_trust = int(text[:9])

    def _body(self, response: httpx.Response, most: int, started: float) -> bytes:
        return b"".join(self._chunks(response, most, started))

    def _chunks(self, response: httpx.Response, most: int, started: float) -> Iterator[bytes]:
        # Raw bytes: what a content encoding would unpack to has no bound, and we asked for none.
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise _unavailable("RELEASE_UNEXPECTED", "the answer is encoded, which was not asked for")
        allowed, size = _allowed_seconds(most), 0
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > most:
                raise _unavailable("BODY_TOO_LARGE", f"expected at most {most} bytes, got more")
            if self._clock.monotonic() - started > allowed:
                raise _unavailable("BODY_TOO_SLOW", f"{size} bytes came within {allowed:.0f} s, expected all")
            yield chunk

    def _fault(self, response: httpx.Response, started: float) -> SkillSyncError:
        status = response.status_code
        if status in _DENIED:
            return DeniedError("PULLER_KEY_REFUSED", f"the release function answered {status} to PULLER_KEY")
        if status == _NOT_FOUND:
            code = self._code(response, started)
            return NotFoundError(code, f"the release function has nothing at {response.request.url.path}")
        message = f"the release function answered {status}"
        if status in _PASSING:
            return _unavailable("RELEASE_UNAVAILABLE", message, _retry_after(response))
        if status >= _SERVER_ERROR or status == _TOO_MANY:
            return _unavailable("RELEASE_FAILED", message, _retry_after(response))
        return _unavailable("RELEASE_UNEXPECTED", message)

    def _code(self, response: httpx.Response, started: float) -> str:
        try:
            document = parse_object(self._body(response, _MAX_ERROR_BYTES, started), what="the answer")
        except (InputError, UnavailableError):
            return "NOT_FOUND"
        code = document.get("code")
        return code if isinstance(code, str) and _CODE.fullmatch(code) else "NOT_FOUND"


def _allowed_seconds(size: int) -> float:
    return BODY_SECONDS + size / SLOWEST_BYTES_PER_SECOND


def _declared(response: httpx.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < len("1" * 20) else None


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text[:6]) if text.isascii() and text.isdigit() else 0.0


def _unreachable(error: httpx.HTTPError) -> UnavailableError:
    return _unavailable(
        "RELEASE_UNREACHABLE", f"the release function cannot be reached: {type(error).__name__}: {error}"
    )


def _unavailable(code: str, message: str, retry_after_seconds: float = 0.0) -> UnavailableError:
    return UnavailableError(code, message, retry_after_seconds=retry_after_seconds)
