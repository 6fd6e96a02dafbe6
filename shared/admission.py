"""Who may call what: each of these lets its callers in, with the settings that count, or says why not.

Settings may have been read a moment ago. Whoever is refused by those is tried again by what they are now, so that a new value
counts from its first use on; an old one may be let in for half a minute more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from shared.config import recent_settings, settings_again, settings_now
from shared.core.auth import authenticate_puller, basic_password, check_api_key
from shared.core.webhook import check_signature
from shared.errors import DeniedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.config import Settings

T = TypeVar("T")


def require_github(signature: str | None, body: bytes) -> tuple[Settings, str]:
    """Let GitHub in, and return the secret that it holds.

    Args:
        signature: The value of the header `X-Hub-Signature-256`.
        body: The raw body.

    Raises:
        DeniedError: the signature is missing or wrong.
    """

    def check(found: Settings) -> str:
        found.need("GITHUB_WEBHOOK_SECRET")
        return check_signature(signature, body, found.webhook_secrets)

    return _proved(check)


def require_operator(api_key: str | None, *, fresh: bool = False) -> Settings:
    """Let operators in.

    Args:
        api_key: The value of the header `x-api-key`.
        fresh: Whether the caller asks about the settings themselves, as they are now.

    Raises:
        DeniedError: the key is missing or wrong.
    """

    def check(found: Settings) -> None:
        found.need("MANUAL_SYNC_API_KEY")
        check_api_key(api_key, found.api_keys)

    return _proved(check, settings_now if fresh else recent_settings)[0]


def require_person(authorization: str | None) -> tuple[Settings, str]:
    """Let a person at a browser in, and return the key that was given: the dashboard's forms are bound to it.

    Args:
        authorization: The header's value: HTTP Basic, any user name, the operators' API key as password.

    Raises:
        DeniedError: the key is missing or wrong.
    """
    key = basic_password(authorization)
    return require_operator(key), str(key)


def require_puller(authorization: str | None) -> tuple[Settings, str]:
    """Let pullers in, and say which one it is.

    Args:
        authorization: The header's value.

    Raises:
        DeniedError: the key is missing or wrong.
    """

    def check(found: Settings) -> str:
        found.need("PULLER_KEY_HASHES")
        return authenticate_puller(authorization, found.puller_key_hashes)

    return _proved(check)


def require_scheduler(api_key: str | None) -> Settings:
    """Let the scheduler in: by the API key, or, where Cloud IAM guards the function (`POLL_AUTH=iam`), without.

    Args:
        api_key: The value of the header `x-api-key`.

    Raises:
        DeniedError: the key is missing or wrong.
    """
    found = recent_settings()
    return found if found.poll_auth == "iam" else require_operator(api_key)


def _proved(check: Callable[[Settings], T], read: Callable[[], Settings] = recent_settings) -> tuple[Settings, T]:
    """Try the caller by what was read a moment ago, and one who is refused by what is there now."""
    found = read()
    try:
        return found, check(found)
    except DeniedError:
        newer = settings_again()
        if newer == found:
            raise
    return newer, check(newer)
