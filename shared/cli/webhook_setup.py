"""`webhook-setup`: the repository's webhook is made, or mended, and proved by a ping that comes in.

Nothing is changed at GitHub before the functions have accepted the secret: a wrong one would silence a hook that works.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from shared.adapters.github_hook_editor import HookEditor
from shared.cli import check_view
from shared.cli.exits import Exit
from shared.cli.refusals import FailedChecksError
from shared.cli.rotate_edge import edge_checks
from shared.cli.rotate_value import fingerprint_of, read_value
from shared.cli.screen import DOUBTFUL, GOOD, line
from shared.core.credentials import failed
from shared.core.hook_config import PATH, calling, differences, wanted
from shared.errors import ConfigError, ConflictError, DeniedError, InputError, UnavailableError
from shared.log.redaction import remember

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from shared.cli.client import Client
    from shared.cli.screen import Screen

WAIT_SECONDS = 30.0
LONGEST_WAIT_SECONDS = 600.0
_SECRET = "GITHUB_WEBHOOK_SECRET"  # noqa: S105 - the setting's name
_LOOK_SECONDS = 0.5
_OK, _UNAUTHORIZED = 200, 401
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument(
        "--secret-file", type=Path, metavar="FILE", help=f"holds the secret alone (default: {_SECRET}'s first line)"
    )
    parser.add_argument(
        "--token-file", type=Path, metavar="FILE", help="holds a token alone (default: GITHUB_TOKEN's first line)"
    )
    parser.add_argument(
        "--url",
        metavar="URL",
        help="where the function `webhook` answers, if it has an address of its own; with or without the webhook's path",
    )
    parser.add_argument(
        "--wait", type=float, default=WAIT_SECONDS, metavar="SECONDS", help="for the ping (default: %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


@dataclass(slots=True, kw_only=True)
class _Work:
    """One run: what it works with, and what it has done so far."""

    client: Client
    editor: HookEditor
    url: str
    secret: str
    until: float
    number: int = 0
    result: str = "unchanged"
    changed: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Of the secret."""
        return fingerprint_of(_SECRET, self.secret)


def webhook_setup(client: Client, screen: Screen, options: argparse.Namespace) -> Exit:
    """Make or mend the webhook, ping it, and wait for the ping."""
    if not 0 < options.wait <= LONGEST_WAIT_SECONDS:
        raise InputError("ARGUMENTS_INVALID", f"--wait: expected at most {LONGEST_WAIT_SECONDS:g} seconds, and above 0")
    called = client if options.url is None else client.at("--url", options.url.removesuffix(PATH))
    secret, token, url = _secret(client, options.secret_file), _token(client, options.token_file), _url(called)
    with HookEditor(client.settings.github_api_url, client.settings.repo, token) as editor:
        with screen.busy("Looking at the webhook"):
            _check_secret(called, secret)
            found = calling(editor.listed(), url)
        if len(found) > 1:
            numbers = ", ".join(str(hook.get("id")) for hook in found)
            raise ConflictError("HOOK_TWICE", f"webhooks {numbers} call {url}: delete all but one, and try again")
        work = _Work(client=client, editor=editor, url=url, secret=secret, until=time.monotonic() + options.wait)
        hook = found[0] if found else None
        if options.dry_run:
            return _foretold(screen, work, hook)
        with screen.busy("Setting the webhook up"):
            _set_up(work, hook)
    _told(screen, work)
    return Exit.DONE


def _set_up(work: _Work, hook: Mapping[str, object] | None) -> None:
    before = _used(work)
    if hook is None:
        work.number, work.result = _number(work.editor.create(wanted(work.url, work.secret))), "created"
        _expect(work, _wait(work, set(), before))
        return
    work.number, known = _number(hook), set(work.editor.pings(_number(hook)))
    faults = differences(hook, work.url)
    if faults:
        _change(work, *faults)
    work.editor.ping(work.number)
    status = _wait(work, known, before)
    if not faults and (status == _UNAUTHORIZED or (status == _OK and not _is_seen(work, before))):
        # It signs with another secret than this one, which the functions have accepted already.
        known = set(work.editor.pings(work.number))
        _change(work, "secret")
        work.editor.ping(work.number)
        status = _wait(work, known, before)
    _expect(work, status)


def _change(work: _Work, *what: str) -> None:
    work.editor.change(work.number, wanted(work.url, work.secret))
    work.result, work.changed = "changed", what


def _wait(work: _Work, known: set[int], before: str | None) -> int | None:
    """Wait for the end of a ping that GitHub has not listed before; a ping that arrived, also until the functions noted it.

    Returns:
        Its status code, 0 for no answer; None when the time is over.
    """
    status: int | None = None
    while time.monotonic() < work.until:
        new = {number: code for number, code in work.editor.pings(work.number).items() if number not in known}
        if new:
            first = status is None
            status = new[max(new)]
            # The note is written before the ping is answered: one look behind that is enough.
            if status != _OK or _is_seen(work, before) or not first:
                return status
        time.sleep(_LOOK_SECONDS)
    return status


def _expect(work: _Work, status: int | None) -> None:
    done = f"webhook {work.number} {'stands' if work.result == 'unchanged' else 'was ' + work.result}"
    if status is None:
        text = f"{done}; GitHub lists no end of its ping yet: run the command again, or with a longer --wait"
        raise UnavailableError("PING_NOT_SEEN", text)
    if status != _OK:
        told = "got no answer" if status == 0 else f"was answered {status}"
        raise ConflictError(
            "PING_FAILED", f"{done}; its ping {told}: GitHub must reach {work.url} as this machine does"
        )


def _is_seen(work: _Work, before: str | None) -> bool:
    """Whether the functions have noted a call under this secret since; without a key GitHub's word is all there is."""
    return not work.client.has_key or _used(work) != before


def _used(work: _Work) -> str | None:
    if not work.client.has_key:
        return None
    listed = work.client.get("/api/rotation").get("credentials")
    rows = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    used = next((each.get("used") for each in rows if each.get("name") == _SECRET), None)
    at = used.get(work.fingerprint) if isinstance(used, dict) else None
    return None if at is None else str(at)


def _check_secret(client: Client, secret: str) -> None:
    tried = edge_checks(client, _SECRET, secret)
    if failed(tried):
        raise FailedChecksError(
            "SECRET_REFUSED",
            f"the functions at {client.address} do not take this secret; nothing was changed at GitHub",
            checks=[check_view.described(check) for check in tried],
        )


def _foretold(screen: Screen, work: _Work, hook: Mapping[str, object] | None) -> Exit:
    faults = [] if hook is None else differences(hook, work.url)
    result = "would_create" if hook is None else "would_change" if faults else "unchanged"
    number = None if hook is None else _number(hook)
    said = "a webhook would be made" if hook is None else f"webhook {number} would be changed: {', '.join(faults)}"
    if hook is not None and not faults:
        said = f"webhook {number} is as it should be; only a ping would show whether its secret is this one"
    document = _document(work, result=result, hook=number, changed=faults, ping=None)
    screen.result(document, line(said, style=DOUBTFUL), line("Nothing was changed."))
    return Exit.DONE


def _told(screen: Screen, work: _Work) -> None:
    what = f": {', '.join(work.changed)}" if work.changed else ""
    seen = "functions" if work.client.has_key else "github"
    by = f"the functions saw it under {work.fingerprint}" if work.client.has_key else "as GitHub says"
    document = _document(work, result=work.result, hook=work.number, changed=[*work.changed], ping=seen)
    screen.result(
        document,
        line(f"webhook {work.number} {work.result}{what}", style=GOOD),
        line(f"it calls {work.url}; its ping arrived, {by}"),
    )


def _document(work: _Work, **more: object) -> dict[str, object]:
    return {"url": work.url, "fingerprint": work.fingerprint, **more}


def _secret(client: Client, path: Path | None) -> str:
    if path is not None:
        return read_value(path)
    client.settings.need(_SECRET)
    return client.settings.webhook_secrets[0]


def _token(client: Client, path: Path | None) -> str:
    if path is None:
        client.settings.need("GITHUB_TOKEN")
        return client.settings.github_tokens[0]
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise InputError("TOKEN_FILE_INVALID", f"--token-file cannot be read ({type(error).__name__})") from None
    if not token or len(token.split()) > 1:
        raise InputError("TOKEN_FILE_INVALID", "--token-file: expected a token alone")
    remember([token])
    return token


def _url(client: Client) -> str:
    address = httpx.URL(client.address)
    if address.scheme != "https" and address.host not in _LOOPBACK:
        raise ConfigError("CONFIG_INVALID", "SKILL_SYNC_URL: GitHub must call an address that begins with https://")
    return str(address).rstrip("/") + PATH


def _number(hook: Mapping[str, object]) -> int:
    number = hook.get("id")
    if isinstance(number, bool) or not isinstance(number, int):
        raise DeniedError("HOOKS_DENIED", "GitHub shows a webhook without a number")
    return number
