"""Who may call what: each of these lets its callers in, with the settings as they are now, or says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import log, wiring
from shared.config import current_settings
from shared.core.auth import authenticate_puller, basic_password, bearer_token, check_api_key
from shared.core.oidc import Expected, check_claims
from shared.errors import DeniedError

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
    found = current_settings()
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
