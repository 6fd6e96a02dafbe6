"""What proves that a form was made for whoever sends it: a page elsewhere can make a browser post, but not with this.

Nobody has a session: the browser sends the API key with every call, so the token is bound to that key, to what the form
is for, and to the time until which it may be sent.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

from shared.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

LIFETIME_SECONDS = 15 * 60
_FORM = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})")
_FORBIDDEN = 403


def form_token(key: str, purpose: str, now: datetime) -> str:
    """Make the token of one form.

    Args:
        key: The API key of the person who asked for the form.
        purpose: What the form does and to what; a token for one rollback is none for another.
        now: The time.
    """
    until = int(now.timestamp()) + LIFETIME_SECONDS
    return f"{until}.{_seal(key, purpose, until)}"


def check_form_token(token: str, key: str, purpose: str, now: datetime) -> None:
    """Prove that the same person was given this form for the same purpose not long ago.

    Args:
        token: What was sent.
        key: The API key that was sent with it.
        purpose: What is asked for.
        now: The time.

    Raises:
        InputError: `FORM_INVALID` or `FORM_EXPIRED` (403).
    """
    found = _FORM.fullmatch(token)
    until = 0 if found is None else int(found[1])
    seal = "" if found is None else found[2]
    if not hmac.compare_digest(seal, _seal(key, purpose, until)):
        raise InputError("FORM_INVALID", "the form was not made by this page for this key", status=_FORBIDDEN)
    if now.timestamp() > until:
        raise InputError("FORM_EXPIRED", "the form is older than a quarter of an hour", status=_FORBIDDEN)


def check_origin(site: str | None, origin: str | None, host: str) -> None:
    """Refuse a post that the browser itself says comes from elsewhere.

    Our pages send no referrer, so a form's post carries `Origin: null`; that, like an older browser's silence, proves
    nothing, and the token decides.

    Args:
        site: The header `Sec-Fetch-Site`.
        origin: The header `Origin`.
        host: The header `Host`.

    Raises:
        InputError: `ORIGIN_FOREIGN` (403).
    """
    is_foreign = origin not in (None, "null") and str(origin).partition("://")[2].lower() != host.lower()
    if is_foreign or site not in (None, "same-origin"):
        raise InputError("ORIGIN_FOREIGN", "the form was sent by another site", status=_FORBIDDEN)


def _seal(key: str, purpose: str, until: int) -> str:
    text = f"skill-sync dashboard form\n{until}\n{purpose}"
    return hmac.new(key.encode(errors="replace"), text.encode(errors="replace"), hashlib.sha256).hexdigest()
