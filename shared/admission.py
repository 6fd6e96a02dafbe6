"""Who may call what: each of these lets its callers in, with the settings as they are now, or says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.config import current_settings
from shared.core.auth import authenticate_puller, basic_password, check_api_key

if TYPE_CHECKING:
    from shared.config import Settings


def require_operator(api_key: str | None) -> Settings:
    """Let operators in.

    Args:
        api_key: The value of the header `x-api-key`.

    Raises:
        DeniedError: the key is missing or wrong.
    """
    found = current_settings()
    found.need("MANUAL_SYNC_API_KEY")
    check_api_key(api_key, found.api_keys)
    return found


def require_person(authorization: str | None) -> tuple[Settings, str]:
    """Let a person at a browser in, and return the key that was given: the dashboard's forms are bound to it.

    Args:
        authorization: The header's value: HTTP Basic, any user name, the operators' API key as password.

    Raises:
        DeniedError: the key is missing or wrong.
    """
    found = current_settings()
    found.need("MANUAL_SYNC_API_KEY")
    key = basic_password(authorization)
    check_api_key(key, found.api_keys)
    return found, str(key)


def require_puller(authorization: str | None) -> tuple[Settings, str]:
    """Let pullers in, and say which one it is.

    Args:
        authorization: The header's value.

    Raises:
        DeniedError: the key is missing or wrong.
    """
    found = current_settings()
    found.need("PULLER_KEY_HASHES")
    return found, authenticate_puller(authorization, found.puller_key_hashes)


def require_scheduler(api_key: str | None) -> Settings:
    """Let the scheduler in: by the API key, or, where Cloud IAM guards the function (`POLL_AUTH=iam`), without.

    Args:
        api_key: The value of the header `x-api-key`.

    Raises:
        DeniedError: the key is missing or wrong.
    """
    found = current_settings()
    return found if found.poll_auth == "iam" else require_operator(api_key)
