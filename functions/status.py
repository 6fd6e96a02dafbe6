"""What monitors and operators read: health, states, skills, deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import admission, reading, rotating, web, wiring
from shared.errors import InputError

if TYPE_CHECKING:
    import flask


def status(request: flask.Request) -> flask.Response:
    """Serve `GET /health`, the states, `/api/skills`, `/api/deployments`, `/api/diff` and the rest below."""
    return web.serve(request, ROUTES)


def _health(_: web.Call) -> web.Reply:
    document = reading.health(wiring.settings())
    return web.Reply(status=503 if document["status"] == "unhealthy" else 200, body=document)


def _skills(call: web.Call) -> web.Reply:
    settings = admission.require_operator(call.header("x-api-key"))
    after, limit = call.query("after") or "", _limit(call, 100)
    return web.Reply(body=reading.skills(settings, after=after, limit=limit))


def _deployments(call: web.Call) -> web.Reply:
    settings = admission.require_operator(call.header("x-api-key"))
    before, limit = call.query("before"), _limit(call, 20)
    return web.Reply(body=reading.deployments(settings, before=before, limit=limit))


def _deployment(call: web.Call) -> web.Reply:
    settings = admission.require_operator(call.header("x-api-key"))
    return web.Reply(body=reading.deployment(settings, call.params["deployment"]))


def _diff(call: web.Call) -> web.Reply:
    settings = admission.require_operator(call.header("x-api-key"))
    newer = call.query("to")
    if newer is None:
        raise InputError(
            "MEMBER_INVALID", "the query needs `to`, a deployment; `from` is the live one unless it is given"
        )
    return web.Reply(body=reading.diff(settings, older=call.query("from"), newer=newer))


def _operational_state(call: web.Call) -> web.Reply:
    return web.Reply(body=reading.operational_state(admission.require_operator(call.header("x-api-key"))))


def _dr_state(call: web.Call) -> web.Reply:
    return web.Reply(body=reading.dr_state(admission.require_operator(call.header("x-api-key"))))


def _boot_status(call: web.Call) -> web.Reply:
    return web.Reply(body=reading.boot_status(admission.require_operator(call.header("x-api-key"), fresh=True)))


def _rotations(call: web.Call) -> web.Reply:
    return web.Reply(body=rotating.rotations(admission.require_operator(call.header("x-api-key"), fresh=True)))


def _limit(call: web.Call, default: int) -> int:
    text = call.query("limit")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()):
        raise InputError("LIMIT_INVALID", "limit is a whole number")
    return int(text[:9])


ROUTES = (
    web.Route(method="GET", path="/health", handler=_health, home=True),
    web.Route(method="GET", path="/api/operational-state", handler=_operational_state),
    web.Route(method="GET", path="/api/dr-state", handler=_dr_state),
    web.Route(method="GET", path="/api/boot-status", handler=_boot_status),
    web.Route(method="GET", path="/api/skills", handler=_skills),
    web.Route(method="GET", path="/api/deployments", handler=_deployments),
    web.Route(method="GET", path="/api/deployments/{deployment}", handler=_deployment),
    web.Route(method="GET", path="/api/diff", handler=_diff),
    web.Route(method="GET", path="/api/rotation", handler=_rotations),
)
