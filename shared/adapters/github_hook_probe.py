"""The `Probe` port for the repository's webhook: whether there is one, how it is set, and how its last call ended.

Of the secret GitHub shows only that there is one; that it is the right one is proved by a call that arrives.

Source: https://docs.github.com/en/rest/repos/webhooks#list-repository-webhooks
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from shared.adapters.github_faults import UNAUTHORIZED
from shared.adapters.github_hooks import GitHubHooks, takes_pushes
from shared.adapters.github_reach import hooks_not_readable, untried
from shared.core.credentials import Check, Mark
from shared.core.hook_config import PATH
from shared.errors import SkillSyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from shared.adapters.github_api import Api
    from shared.ports import Clock

    Hook = dict[str, object]

_ARRIVED: Final = frozenset({*range(200, 300), 400, 409})
"""Also what a push is answered whose skills are all rejected, or that comes while deployments are paused."""
_SETTINGS: Final = "in the repository's settings, under Webhooks"


class HookProbe:
    """Looks at the webhook.

    Args:
        api: Builds the view of the repository, given what tells how many seconds are left.
        clock: Tells how many are.
    """

    def __init__(self, api: Callable[[Callable[[], float]], Api], clock: Clock) -> None:
        self._api = api
        self._clock = clock

    def __call__(self, seconds: float) -> list[Check]:
        """Look at it; as the port promises. Nothing is sent to the hook.

        Args:
            seconds: How long all of it may take.
        """
        end = self._clock.monotonic() + seconds
        try:
            hooks = GitHubHooks(self._api(lambda: end - self._clock.monotonic())).listed()
        except SkillSyncError as error:
            return [untried("webhook-is-there", error)]
        if hooks is None:
            return [hooks_not_readable("webhook-is-there")]
        return _judged(hooks)


def _judged(hooks: Sequence[Hook]) -> list[Check]:
    active = [hook for hook in hooks if takes_pushes(hook)]
    # Other services have hooks as well; ours is known by its path, or by being the only one.
    ours = [hook for hook in active if _calls_us(hook)] or active
    if not ours:
        return [_missing(hooks)]
    if len(ours) > 1:
        named = any(map(_calls_us, ours))
        code, text = ("HOOK_TWICE", "webhooks call us") if named else ("HOOK_UNCLEAR", "active webhooks take pushes")
        fix = f"{_SETTINGS}, delete all but one" if named else f"let the address of ours end in {PATH}"
        return [Check(name="webhook-is-there", mark=Mark.WARN, code=code, text=f"{len(ours)} {text}", fix=fix)]
    return [
        Check(name="webhook-is-there", mark=Mark.OK, text="there is one active webhook for pushes"),
        *_configured(ours[0]),
        _last_call(ours[0]),
    ]


def _missing(hooks: Sequence[Hook]) -> Check:
    if any(hook.get("active") is not True and _calls_us(hook) for hook in hooks):
        code, text, fix = "HOOK_INACTIVE", "the webhook is switched off", f"{_SETTINGS}, tick Active"
    elif any(map(_calls_us, hooks)):
        code, text, fix = "HOOK_WITHOUT_PUSH", "the webhook is not called for pushes", f"{_SETTINGS}, tick Pushes"
    else:
        code, text = "HOOK_MISSING", "there is no active webhook for pushes: deployments come by polling alone"
        fix = f"{_SETTINGS}, add https://<host>{PATH}, content type application/json, with the secret, for pushes"
    return Check(name="webhook-is-there", mark=Mark.FAIL, code=code, text=text, fix=fix)


def _configured(hook: Hook) -> list[Check]:
    config = hook.get("config")
    found = config if isinstance(config, dict) else {}
    return [
        Check(name="webhook-sends-json", mark=Mark.OK, text="its content type is application/json")
        if found.get("content_type") == "json"
        else Check(
            name="webhook-sends-json",
            mark=Mark.FAIL,
            code="HOOK_CONTENT_TYPE",
            text="its content type is not application/json: every call is answered 415",
            fix=f"{_SETTINGS}, set the content type to application/json",
        ),
        Check(name="webhook-has-a-secret", mark=Mark.OK, text="it has a secret")
        if found.get("secret")
        else Check(
            name="webhook-has-a-secret",
            mark=Mark.FAIL,
            code="HOOK_WITHOUT_SECRET",
            text="it has no secret: every call is answered 401",
            fix=f"{_SETTINGS}, set the secret to the first line of GITHUB_WEBHOOK_SECRET",
        ),
        Check(name="webhook-checks-certificates", mark=Mark.OK, text="it checks the certificate of whom it calls")
        if str(found.get("insecure_ssl")) == "0"
        else Check(
            name="webhook-checks-certificates",
            mark=Mark.FAIL,
            code="HOOK_INSECURE",
            text="it does not check the certificate of whom it calls",
            fix=f"{_SETTINGS}, enable SSL verification",
        ),
    ]


def _last_call(hook: Hook) -> Check:
    name, last = "webhook-last-call-arrived", hook.get("last_response")
    code = last.get("code") if isinstance(last, dict) else None
    if not isinstance(code, int):
        text, fix = "GitHub knows of no call within 30 days", "push, or send the ping again from the webhook's page"
        return Check(name=name, mark=Mark.WARN, code="HOOK_NEVER_CALLED", text=text, fix=fix)
    if code in _ARRIVED:
        return Check(name=name, mark=Mark.OK, text=f"its last call arrived ({code})")
    if code == UNAUTHORIZED:
        text = "its last call was answered 401: the secret on GitHub is none of GITHUB_WEBHOOK_SECRET"
        fix = f"{_SETTINGS}, set the secret to the first line of GITHUB_WEBHOOK_SECRET, then send the ping again"
        return Check(name=name, mark=Mark.FAIL, code="HOOK_SECRET_REFUSED", text=text, fix=fix)
    fix = "look at the webhook's recent deliveries, mend what they show, and send one again"
    return Check(
        name=name, mark=Mark.WARN, code="HOOK_LAST_CALL_FAILED", text=f"its last call was answered {code}", fix=fix
    )


def _calls_us(hook: Hook) -> bool:
    config = hook.get("config")
    url = config.get("url") if isinstance(config, dict) else None
    try:
        return isinstance(url, str) and urlsplit(url).path.rstrip("/").endswith(PATH)
    except ValueError:
        return False
