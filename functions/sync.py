"""The operators' calls: sync now or say what a sync would do, release withheld skills, roll back; and a workflow's upload."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared import admission, calls, diagnose, rotating, web, wiring
from shared.answers import preview_answer, sync_answer
from shared.core.canonical import member
from shared.core.upload import MAX_PACKED_BYTES, read_archive
from shared.errors import DeadlineError, InputError
from shared.held import api_key_use
from shared.model import CommitSha, DeploymentId, SkillId, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    import flask


MAX_RELEASED = 1000


def sync(request: flask.Request) -> flask.Response:
    """Serve `POST /api/sync`, `/api/rollback`, `/api/deploy` and `/api/rotation`, and `GET /api/doctor`."""
    return web.serve(request, ROUTES)


def _sync(call: web.Call) -> web.Reply:
    settings = admission.require_operator(call.header("x-api-key"))
    document = call.document()
    _refuse_unknown(document, "release", "dry_run")
    if _is_dry_run(document):
        return _exclusive(lambda: preview_answer(calls.preview(settings, calls.OPERATOR_SECONDS)))
    uses = api_key_use(settings, call.header("x-api-key"))
    release = _ids(document.get("release", []))
    if release:
        asked = calls.Asked(release=release, uses=uses)
        return _exclusive(
            lambda: sync_answer(calls.synchronise(settings, calls.OPERATOR_SECONDS, Trigger.MANUAL, asked))
        )
    try:
        outcome = calls.synchronise(settings, calls.OPERATOR_SECONDS, Trigger.MANUAL, calls.Asked(uses=uses))
    except DeadlineError as error:
        return web.Reply(status=202, body={"status": "deferred", "code": error.code})
    return web.Reply(body=sync_answer(outcome))


def _roll_back(call: web.Call) -> web.Reply:
    settings = admission.require_operator(call.header("x-api-key"))
    document = call.document()
    _refuse_unknown(document, "to")
    to = DeploymentId(member(document, "to", str, what="the body"))
    return _exclusive(lambda: sync_answer(calls.roll_back(settings, calls.OPERATOR_SECONDS, to)))


def _deploy(call: web.Call) -> web.Reply:
    # The order is the rule: who calls, for which commit, only then the body; the time that it takes to come in counts.
    clock = wiring.clock()
    started = clock.monotonic()
    api_key, commit = call.header("x-api-key"), call.header("X-Commit-Sha") or ""
    settings = admission.require_deployer(api_key, call.header("Authorization"), commit)
    if not re.fullmatch(r"[0-9a-f]{40}", commit):
        raise InputError("COMMIT_INVALID", "the header X-Commit-Sha must name a commit by 40 hex digits")
    tree = read_archive(call.body(MAX_PACKED_BYTES), unwrap=False)
    seconds = calls.OPERATOR_SECONDS - (clock.monotonic() - started)
    uses = api_key_use(settings, api_key)
    return _exclusive(lambda: sync_answer(calls.deploy(settings, seconds, CommitSha(commit), tree, uses)))


def _rotate(call: web.Call) -> web.Reply:
    api_key = call.header("x-api-key")
    settings = admission.require_operator(api_key)
    document = call.document()
    _refuse_unknown(document, "action", "name", "fingerprint")
    action, name = (member(document, key, str, what="the body") for key in ("action", "name"))
    expected = document.get("fingerprint") or ""
    if not isinstance(expected, str) or not re.fullmatch(r"[0-9a-f]{8}|", expected):
        raise InputError("MEMBER_INVALID", "'fingerprint' is 8 hex digits")
    return web.Reply(body=rotating.rotate(settings, action, name, expected, str(api_key)))


def _doctor(call: web.Call) -> web.Reply:
    return web.Reply(body=diagnose.doctor(admission.require_operator(call.header("x-api-key"))))


def _exclusive(run: Callable[[], dict[str, object]]) -> web.Reply:
    # No poll would finish what only this call knows about, so the caller must try again.
    try:
        return web.Reply(body=run())
    except DeadlineError as error:
        body = {"error": f"busy: {error.message}", "code": "BUSY"}
        return web.Reply(status=409, body=body, headers={"Retry-After": "5"})


def _refuse_unknown(document: dict[str, object], *known: str) -> None:
    # A misspelt "relaese" must not turn into an ordinary sync.
    unknown = sorted(document.keys() - set(known))
    if unknown:
        raise InputError("MEMBER_UNKNOWN", f"the body may hold {', '.join(known)}; got {', '.join(unknown)[:200]}")


def _is_dry_run(document: dict[str, object]) -> bool:
    dry_run = document.get("dry_run", False)
    if not isinstance(dry_run, bool):
        raise InputError("MEMBER_INVALID", "'dry_run' must be true or false")
    if dry_run and "release" in document:
        raise InputError("MEMBER_INVALID", "a dry run tells of a sync; it releases nothing: leave 'release' out")
    return dry_run


def _ids(value: object) -> tuple[SkillId, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value) or len(value) > MAX_RELEASED:
        raise InputError("MEMBER_INVALID", f"'release' must be a list of at most {MAX_RELEASED} skill ids")
    return tuple(dict.fromkeys(SkillId(item) for item in value))


ROUTES = (
    web.Route(method="POST", path="/api/sync", handler=_sync),
    web.Route(method="POST", path="/api/rollback", handler=_roll_back),
    web.Route(method="POST", path="/api/deploy", handler=_deploy),
    web.Route(method="POST", path="/api/rotation", handler=_rotate),
    web.Route(method="GET", path="/api/doctor", handler=_doctor),
)
