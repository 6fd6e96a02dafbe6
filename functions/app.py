"""All functions on one port, for `make run` and for whoever wants to deploy a single service."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from functions import dashboard, poll, release, status, sync, validate, webhook
from shared import web

if TYPE_CHECKING:
    import flask


def app(request: flask.Request) -> flask.Response:
    """Serve every route of every function."""
    return web.serve(request, ROUTES)


ROUTES = tuple(
    replace(route, home=False)
    for function in (webhook, poll, sync, validate, release, status, dashboard)
    for route in function.ROUTES
)
