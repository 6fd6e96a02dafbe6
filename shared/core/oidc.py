"""Whether a workflow of the repository may deploy: one small check for each claim of GitHub's OIDC token.

That the token was signed by its issuer is proved before, by `adapters.oidc_tokens`; nothing here reads a signature.

Source: https://docs.github.com/en/actions/reference/security/oidc
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import DeniedError

if TYPE_CHECKING:
    from collections.abc import Mapping

SKEW_SECONDS = 60
"""So far GitHub's clock and ours may stand apart."""
LONGEST_SECONDS = 3600
"""GitHub's tokens live for minutes; one that says it lives for days was not made by the runner."""
EVENTS = frozenset({"push", "workflow_dispatch"})
"""What may have started the workflow. A `pull_request_target` runs under the branch's own name with the code of a stranger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What the claims must say.

    Args:
        issuer: Who made the token.
        audience: Whom it is for; empty means that no token is accepted.
        repository: `<owner>/<name>`.
        ref: `refs/heads/<branch>`.
        repository_id: The repository's number, which outlives a rename and a name taken over by somebody else; None for any.
        workflow: The workflow's file in the repository; None for any.
    """

    issuer: str
    audience: str
    repository: str
    ref: str
    repository_id: str | None = None
    workflow: str | None = None


def check_claims(claims: Mapping[str, object], expected: Expected, *, commit: str, now: float) -> None:
    """Make sure that a signed token was made for this call.

    Args:
        claims: What the token says.
        expected: What it must say.
        commit: The commit that is to be deployed.
        now: The time, in seconds since 1970.

    Raises:
        DeniedError: `OIDC_ISSUER`, `OIDC_AUDIENCE`, `OIDC_TIME_INVALID`, `OIDC_EXPIRED`,
            `OIDC_NOT_YET_VALID`, `OIDC_REPOSITORY`, `OIDC_REPOSITORY_ID`, `OIDC_REF`, `OIDC_EVENT`,
            `OIDC_WORKFLOW`, `OIDC_COMMIT`.
    """
    _check_issuer(claims, expected)
    _check_audience(claims, expected)
    _check_time(claims, now)
    _check_repository(claims, expected)
    _check_ref(claims, expected)
    _check_event(claims)
    _check_workflow(claims, expected)
    _check_commit(claims, commit)


def _check_issuer(claims: Mapping[str, object], expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise DeniedError("OIDC_ISSUER", f"the token must come from {expected.issuer}")


def _check_audience(claims: Mapping[str, object], expected: Expected) -> None:
    # One audience, not a list: a token that is for others too could have been shown to them first.
    if not expected.audience or claims.get("aud") != expected.audience:
        raise DeniedError("OIDC_AUDIENCE", "the token must be made for the audience that OIDC_AUDIENCE names")


def _check_time(claims: Mapping[str, object], now: float) -> None:
    begins = [_seconds(claims, name) for name in ("iat", "nbf") if name in claims]
    ends = _seconds(claims, "exp")
    if ends <= now - SKEW_SECONDS:
        raise DeniedError("OIDC_EXPIRED", "the token is no longer valid: ask for a new one just before the call")
    if not begins:
        raise DeniedError("OIDC_TIME_INVALID", "the token must say since when it is valid")
    if max(begins) > now + SKEW_SECONDS:
        raise DeniedError("OIDC_NOT_YET_VALID", "the token is not valid yet: its issuer's clock and ours stand apart")
    if ends - min(begins) > LONGEST_SECONDS:
        raise DeniedError("OIDC_TIME_INVALID", f"a token must live for at most {LONGEST_SECONDS} s")


def _check_repository(claims: Mapping[str, object], expected: Expected) -> None:
    # GitHub's names do not tell upper from lower case.
    if _text(claims, "repository").lower() != expected.repository.lower():
        raise DeniedError("OIDC_REPOSITORY", f"the workflow must run in {expected.repository}")
    if expected.repository_id is not None and _text(claims, "repository_id") != expected.repository_id:
        raise DeniedError(
            "OIDC_REPOSITORY_ID", "the workflow must run in the repository that GITHUB_REPOSITORY_ID names"
        )


def _check_ref(claims: Mapping[str, object], expected: Expected) -> None:
    # A tag can be called like a branch: the whole ref counts.
    if _text(claims, "ref") != expected.ref:
        raise DeniedError("OIDC_REF", f"the workflow must run for {expected.ref}")


def _check_event(claims: Mapping[str, object]) -> None:
    if _text(claims, "event_name") not in EVENTS:
        raise DeniedError("OIDC_EVENT", f"the workflow must be started by {' or '.join(sorted(EVENTS))}")


def _check_workflow(claims: Mapping[str, object], expected: Expected) -> None:
    # `workflow_ref` names the file that was started, also where that one calls a reusable workflow.
    wanted = f"{expected.repository}/{expected.workflow}@{expected.ref}"
    if expected.workflow is not None and not _same_workflow(_text(claims, "workflow_ref"), wanted):
        raise DeniedError("OIDC_WORKFLOW", f"the workflow must be {wanted}")


def _same_workflow(one: str, other: str) -> bool:
    """Compare owner and name without, the file and the ref with regard to case."""
    first, second = one.split("/", 2), other.split("/", 2)
    return [part.lower() for part in first[:2]] == [part.lower() for part in second[:2]] and first[2:] == second[2:]


def _check_commit(claims: Mapping[str, object], commit: str) -> None:
    if _text(claims, "sha") != commit:
        raise DeniedError("OIDC_COMMIT", "the workflow must run for the commit that X-Commit-Sha names")


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _seconds(claims: Mapping[str, object], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise DeniedError("OIDC_TIME_INVALID", f"the token must say as a whole number of seconds: {name}")
    return value
