"""The scheduler's poll: whatever webhooks did or failed to do, the head is read again and the pointer kept fresh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import admission, calls, web
from shared.answers import sync_answer
from shared.errors import DeadlineError
from shared.held import api_key_use
from shared.model import Trigger

if TYPE_CHECKING:
    import flask


def poll(request: flask.Request) -> flask.Response:
    """Serve `POST /api/poll`."""
    return web.serve(request, ROUTES)


def _poll(call: web.Call) -> web.Reply:
    settings = admission.require_scheduler(call.header("x-api-key"))
    uses = api_key_use(settings, call.header("x-api-key")) if settings.poll_auth == "api_key" else ()
    try:
        outcome = calls.synchronise(settings, settings.lock_ttl_seconds, Trigger.POLLING, calls.Asked(uses=uses))
    except DeadlineError as error:
        return web.Reply(status=202, body={"status": "deferred", "code": error.code})
    return web.Reply(body=sync_answer(outcome))


ROUTES = (web.Route(method="POST", path="/api/poll", handler=_poll, home=True),)
