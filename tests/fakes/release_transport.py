"""The release function for the puller's tests: the real use cases behind an httpx transport, with faults on demand."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx

from shared.errors import InputError, NotFoundError
from shared.service import serving
from shared.service.trust import stored_trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.world import World

KEY = "k" * 40


@dataclass
class ReleaseFunction:
    """Serves a world. `fault` may answer in its place, or raise; `served` and `reports` tell what was asked and said.

    `announces`: the newest version of the trust is named with the pointer. `puller`: who reports.
    """

    world: World
    fault: Callable[[httpx.Request], httpx.Response | None] = lambda _: None
    served: list[str] = field(default_factory=list)
    reports: list[dict[str, object]] = field(default_factory=list)
    announces: bool = True
    puller: str = "edge"

    def client(self) -> httpx.Client:
        """An HTTP client that reaches nothing but this."""
        headers = {"Authorization": f"Bearer {KEY}"}
        return httpx.Client(base_url="http://release.test", headers=headers, transport=self.transport())

    def transport(self) -> httpx.MockTransport:
        """What carries requests to this and nowhere else."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.served.append(f"{request.method} {request.url.path}")
        if request.headers["Authorization"] != f"Bearer {KEY}":
            return refusal(401, "PULLER_KEY_INVALID")
        return self.fault(request) or self._proper(request)

    def _proper(self, request: httpx.Request) -> httpx.Response:
        store, path = self.world.store, request.url.path
        try:
            if path == "/v1/report":
                document = json.loads(request.content)
                serving.accept_report(
                    store,
                    self.world.trust,
                    serving.Sender(puller=self.puller, key="0" * 8),
                    document,
                    self.world.clock.now(),
                )
                self.reports.append(document)
                return httpx.Response(204)
            if path == "/v1/current":
                envelope, etag = serving.current(store)
                known = request.headers.get("If-None-Match") == etag
                headers = {"ETag": etag}
                if self.announces:
                    headers["X-Trust-Version"] = str(self.world.trust.version)
                return answer(304 if known else 200, b"" if known else envelope, headers)
            if path.startswith("/v1/trust/"):
                return answer(200, stored_trust(store, int(path.rsplit("/", 1)[-1])))
            serve = serving.served_object if path.startswith("/v1/objects/") else serving.served_record
            return answer(200, serve(store, path.rsplit("/", 1)[-1]))
        except NotFoundError as error:
            return refusal(404, error.code)
        except InputError as error:
            return refusal(400, error.code)


def answer(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> httpx.Response:
    """An answer whose body is read piece by piece, as from a network."""
    return httpx.Response(status, stream=httpx.ByteStream(body), headers=headers)


def refusal(status: int, code: str) -> httpx.Response:
    """An error as the functions write it."""
    return answer(status, json.dumps({"error": "refused", "code": code}).encode())
