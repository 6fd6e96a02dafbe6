"""Who may call what: each of these lets its callers in, with the settings that count, or says why not.

Settings may have been read a moment ago. Whoever is refused by those is tried again by what they are now, so that a new value
counts from its first use on; an old one may be let in for half a minute more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from shared import log, wiring
from shared.config import recent_settings, settings_again, settings_now
from shared.core.auth import authenticate_puller, basic_password, bearer_token, check_api_key
from shared.core.oidc import Expected, check_claims
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


def require_deployer(api_key: str | None, authorization: str | None, commit: str) -> Settings:
    """Let operators in, and the repository's own workflows with a token that GitHub signed for this commit.

    Args:
        api_key: The value of the header `x-api-key`; where it was sent, it counts alone.
        authorization: The header's value, `Bearer <token>`.
        commit: The value of the header `X-Commit-Sha`.

    Raises:
        DeniedError: the key is wrong; or `DEPLOYER_UNKNOWN`, `OIDC_OFF`, or as `check_claims` and the port `Tokens` say.
        UnavailableError: `OIDC_KEYS_UNAVAILABLE`.
    """
    if api_key is not None:
        return require_operator(api_key)
    token = bearer_token(authorization)
    if token is None:
        raise DeniedError("DEPLOYER_UNKNOWN", "send GitHub's OIDC token as bearer token, or the API key as x-api-key")
    found = recent_settings()
    if found.oidc_audience is None:
        raise DeniedError("OIDC_OFF", "no OIDC token is accepted here: OIDC_AUDIENCE is not set")
    found.need("GITHUB_BRANCH")
    claims = wiring.tokens(found)(token)
    check_claims(claims, _expected(found), commit=commit, now=wiring.now().timestamp())
    log.begin_sync()  # so that this line, the way to the run's log at GitHub, already says which deployment it led to
    log.info("A workflow's token was accepted", workflow=claims.get("workflow_ref"), run=claims.get("run_id"))
    return found


def _expected(found: Settings) -> Expected:
    return Expected(
        issuer=found.oidc_issuer,
        audience=found.oidc_audience or "",
        repository=found.repo,
        repository_id=found.github_repository_id,
        ref=found.ref,
        workflow=found.oidc_workflow,
    )


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
