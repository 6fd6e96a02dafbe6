"""The dashboard: pages for a person in a browser, and the actions behind their buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from shared import admission, pages, web
from shared.core.form_token import check_origin
from shared.errors import DeniedError, InputError, SkillSyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    import flask

_FORM = "application/x-www-form-urlencoded"
_MAX_FORM_BYTES = 16 * 1024
_LOGIN = {"WWW-Authenticate": 'Basic realm="skill-sync", charset="UTF-8"'}


def dashboard(request: flask.Request) -> flask.Response:
    """Serve `GET /`, `/deployments/ID`, `/sync`, `/rollback`, `/release`, and `POST /actions/…` of the last three."""
    return web.serve(request, ROUTES)


def _home(call: web.Call) -> web.Reply:
    settings, _ = admission.require_person(call.header("Authorization"))
    status, body = pages.home(settings, call.request.args.to_dict())
    return web.Reply(status=status, body=body)


def _deployment(call: web.Call) -> web.Reply:
    settings, _ = admission.require_person(call.header("Authorization"))
    return web.Reply(body=pages.deployment(settings, call.params["deployment"], call.query("after") or ""))


def _ask_sync(call: web.Call) -> web.Reply:
    _, key = admission.require_person(call.header("Authorization"))
    return web.Reply(body=pages.ask_sync(key))


def _ask_rollback(call: web.Call) -> web.Reply:
    settings, key = admission.require_person(call.header("Authorization"))
    return web.Reply(body=pages.ask_rollback(settings, key, call.query("to") or ""))


def _ask_release(call: web.Call) -> web.Reply:
    settings, key = admission.require_person(call.header("Authorization"))
    return web.Reply(body=pages.ask_release(settings, key, call.request.args.getlist("skill")))


def _sync(call: web.Call) -> web.Reply:
    settings, key = admission.require_person(call.header("Authorization"))
    form = _form(call, "token")
    return _see(pages.sync(settings, key, _one(form, "token")))


def _roll_back(call: web.Call) -> web.Reply:
    settings, key = admission.require_person(call.header("Authorization"))
    form = _form(call, "token", "to")
    return _see(pages.roll_back(settings, key, _one(form, "token"), _one(form, "to")))


def _release(call: web.Call) -> web.Reply:
    settings, key = admission.require_person(call.header("Authorization"))
    form = _form(call, "token", "skill")
    return _see(pages.release(settings, key, _one(form, "token"), form.get("skill", [])))


def _form(call: web.Call, *known: str) -> dict[str, list[str]]:
    check_origin(call.header("Sec-Fetch-Site"), call.header("Origin"), call.header("Host") or "")
    if call.request.mimetype != _FORM:
        raise InputError("CONTENT_TYPE", f"a form is sent as {_FORM}", status=415)
    try:
        text = call.body(_MAX_FORM_BYTES).decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    except ValueError:
        raise InputError("FORM_INVALID", "the body is no form") from None
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    if form.keys() - set(known):
        raise InputError("MEMBER_UNKNOWN", f"the form may hold {', '.join(known)}")
    return form


def _one(form: dict[str, list[str]], name: str) -> str:
    values = form.get(name, [])
    if len(values) != 1:
        raise InputError("MEMBER_INVALID", f"the form needs {name} once")
    return values[0]


def _see(address: str) -> web.Reply:
    # Whoever reloads the page that follows asks for it again, and for nothing else.
    return web.Reply(status=303, body=b"", headers={"Location": address})


def _page(handler: Callable[[web.Call], web.Reply]) -> Callable[[web.Call], web.Reply]:
    """Give every answer the headers of a page, and every refusal a page that a person can read."""

    def answer(call: web.Call) -> web.Reply:
        try:
            reply = handler(call)
        except SkillSyncError as error:
            told = web.reply_to(error)
            login = _LOGIN if isinstance(error, DeniedError) else {}
            body = pages.refusal(error, told.status)
            reply = web.Reply(status=told.status, body=body, headers={**told.headers, **login})
        return web.Reply(status=reply.status, body=reply.body, headers={**pages.headers(), **reply.headers})

    return answer


ROUTES = tuple(
    web.Route(method=method, path=path, handler=_page(handler))
    for method, path, handler in (
        ("GET", "/", _home),
        ("GET", "/deployments/{deployment}", _deployment),
        ("GET", "/sync", _ask_sync),
        ("GET", "/rollback", _ask_rollback),
        ("GET", "/release", _ask_release),
        ("POST", "/actions/sync", _sync),
        ("POST", "/actions/rollback", _roll_back),
        ("POST", "/actions/release", _release),
    )
)
