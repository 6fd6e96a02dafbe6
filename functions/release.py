"""What pullers read, and where they report. The pointer is signed, so the transport needs confidentiality only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import admission, reading, web
from shared.core.auth import bearer_token, key_digest
from shared.core.canonical import parse_object
from shared.errors import InputError

if TYPE_CHECKING:
    import flask

MAX_REPORT_BYTES = 64 * 1024
_MAX_DIGITS = 10
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}


def release(request: flask.Request) -> flask.Response:
    """Serve `GET /v1/current`, `/v1/trust/N`, `/v1/objects/SHA256`, `/v1/deployments/ID` and `POST /v1/report`."""
    return web.serve(request, ROUTES)


def _current(call: web.Call) -> web.Reply:
    settings, _ = admission.require_puller(call.header("Authorization"))
    version = {"X-Trust-Version": str(reading.trust_version(settings))}
    envelope, etag = reading.current_pointer(settings)
    if call.header("If-None-Match") == etag:
        return web.Reply(status=304, headers={"ETag": etag, **version})
    return web.Reply(body=envelope, headers={"ETag": etag, "Cache-Control": "private, no-cache", **version})


def _trust(call: web.Call) -> web.Reply:
    settings, _ = admission.require_puller(call.header("Authorization"))
    text = call.params["version"]
    if not (text.isascii() and text.isdigit() and len(text) < _MAX_DIGITS):
        raise InputError("VERSION_INVALID", "a version of the trust is a whole number")
    return web.Reply(body=reading.stored_trust(settings, int(text)), headers=_FOREVER)


def _object(call: web.Call) -> web.Reply:
    settings, _ = admission.require_puller(call.header("Authorization"))
    data = reading.stored_object(settings, call.params["digest"])
    return web.Reply(body=data, headers=_FOREVER)


def _record(call: web.Call) -> web.Reply:
    settings, _ = admission.require_puller(call.header("Authorization"))
    return web.Reply(body=reading.stored_record(settings, call.params["deployment"]))


def _report(call: web.Call) -> web.Reply:
    authorization = call.header("Authorization")
    settings, puller = admission.require_puller(authorization)
    key = key_digest(str(bearer_token(authorization)))
    report = parse_object(call.body(MAX_REPORT_BYTES), what="the report")
    reading.accept_report(settings, puller, report, key)
    return web.Reply(status=204)


ROUTES = (
    web.Route(method="GET", path="/v1/current", handler=_current),
    web.Route(method="GET", path="/v1/trust/{version}", handler=_trust),
    web.Route(method="GET", path="/v1/objects/{digest}", handler=_object),
    web.Route(method="GET", path="/v1/deployments/{deployment}", handler=_record),
    web.Route(method="POST", path="/v1/report", handler=_report),
)
