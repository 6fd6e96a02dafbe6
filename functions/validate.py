"""Validation on demand, for CI and operators: the same rules as a sync's. It publishes nothing and writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shared import admission, calls, web
from shared.core.canonical import member, parse_object
from shared.core.names import is_slug
from shared.errors import InputError

if TYPE_CHECKING:
    import flask

    from shared.core.validation_report import Report

_SARIF = "application/sarif+json"
_TEXT = "text/plain"
_MAX_REF_CHARS = 200


def validate(request: flask.Request) -> flask.Response:
    """Serve `POST /api/validate`."""
    return web.serve(request, ROUTES)


def _validate(call: web.Call) -> web.Reply:
    # Only this function reads archives, and every function starts with this module.
    from shared.core.upload import GZIP, MAX_PACKED_BYTES, read_archive, read_skill_file  # noqa: PLC0415

    settings = admission.require_operator(call.header("x-api-key"))
    body = call.body(MAX_PACKED_BYTES)
    if call.request.mimetype == "application/json":
        return _told(call, calls.validate_ref(settings, calls.OPERATOR_SECONDS, _ref(body)))
    if body.startswith(GZIP):
        return _told(
            call, calls.validate_tree(settings, calls.OPERATOR_SECONDS, read_archive(body), settings.skills_root)
        )
    name = call.query("id") or "skill"
    if not is_slug(name):
        raise InputError("MEMBER_INVALID", "id is the name of the skill's folder: a-z, 0-9 and single hyphens")
    return _told(call, calls.validate_tree(settings, calls.OPERATOR_SECONDS, read_skill_file(body, name), ""))


def _ref(body: bytes) -> str:
    document = parse_object(body, what="the body")
    unknown = document.keys() - {"ref"}
    if unknown:
        raise InputError("MEMBER_UNKNOWN", "the body knows only ref")
    ref = member(document, "ref", str, what="the body").removeprefix("refs/heads/")
    if not 0 < len(ref) <= _MAX_REF_CHARS or not ref.isprintable() or " " in ref:
        raise InputError("MEMBER_INVALID", "ref is a branch or a commit's id")
    return ref


def _told(call: web.Call, report: Report) -> web.Reply:
    from shared.core.validation_report import as_annotations, as_document, as_sarif  # noqa: PLC0415 - as above

    accepted = call.header("Accept") or ""
    if _SARIF in accepted:
        return web.Reply(body=json.dumps(as_sarif(report)).encode(), headers={"Content-Type": _SARIF})
    if _TEXT in accepted:
        text = as_annotations(report).encode("utf-8", "backslashreplace")
        return web.Reply(body=text, headers={"Content-Type": f"{_TEXT}; charset=utf-8"})
    return web.Reply(body=as_document(report))


ROUTES = (web.Route(method="POST", path="/api/validate", handler=_validate, home=True),)
