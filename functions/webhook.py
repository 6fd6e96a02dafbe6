"""GitHub's push webhook. What it says is only a hint that the branch head should be read now."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared import admission, calls, log, web
from shared.answers import rejections, sync_answer
from shared.core.webhook import MAX_BODY_BYTES, hook_number, ignored_because, is_ping, parse_push
from shared.errors import DeadlineError, InputError
from shared.held import webhook_use
from shared.model import Status, Trigger

if TYPE_CHECKING:
    import flask

    from shared.config import Settings
    from shared.core.credential_notes import Use
    from shared.model import Push


def webhook(request: flask.Request) -> flask.Response:
    """Serve `POST /webhook/github`."""
    return web.serve(request, ROUTES)


def _receive(call: web.Call) -> web.Reply:
    # The order is the rule: size cap, signature, only then parsing; before the signature holds, nothing is read or written.
    body = call.body(MAX_BODY_BYTES)
    settings, secret = admission.require_github(call.header("X-Hub-Signature-256"), body)
    if call.request.mimetype != "application/json":
        raise InputError("CONTENT_TYPE", "set the webhook's content type to application/json", status=415)
    push, use = parse_push(body), webhook_use(settings, secret)
    because = ignored_because(push, repo=settings.repo, branch=settings.github_branch)
    delivery = call.header("X-GitHub-Delivery")
    if push is None or because is not None:
        log.info("Webhook received: nothing to do", delivery=delivery, because=because)
        if is_ping(body):
            calls.note_ping(settings, use)
        return web.Reply(body={"message": because})
    log.begin_sync()  # so that this line already says which deployment it led to
    log.info("Webhook received: push", delivery=delivery, after=push.after, skill_files=push.changed_skill_files)
    return _converge(settings, push, hook_number(call.header("X-GitHub-Hook-ID")), use)


def _converge(settings: Settings, push: Push, hook: int | None, use: Use) -> web.Reply:
    asked = calls.Asked(push=push, hook=hook, uses=(use,))
    started = time.monotonic()
    try:
        outcome = calls.synchronise(settings, calls.WEBHOOK_SECONDS, Trigger.WEBHOOK, asked)
    except DeadlineError as error:
        calls.ask_for_poll(settings, push.after, time.monotonic() - started)
        return web.Reply(status=202, body={"status": "deferred", "code": error.code})
    if outcome.status is Status.REJECTED:
        body = {**sync_answer(outcome), "error": "Validation failed", "details": rejections(outcome.withheld)}
        return web.Reply(status=400, body={**body, "code": "VALIDATION_FAILED"})
    return web.Reply(body=sync_answer(outcome))


ROUTES = (web.Route(method="POST", path="/webhook/github", handler=_receive, home=True),)
