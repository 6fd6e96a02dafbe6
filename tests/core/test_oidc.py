"""Which workflows may deploy: every claim of the token counts, and each that is wrong has its own code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.core.oidc import LONGEST_SECONDS, SKEW_SECONDS, Expected, check_claims
from shared.errors import DeniedError
from tests.fakes.issuer import AUDIENCE, claims_of

ISSUER = "https://token.actions.githubusercontent.com"
COMMIT = "c" * 40
NOW = 1_800_000_000
STRICT = Expected(
    issuer=ISSUER,
    audience=AUDIENCE,
    repository="octo/skills",
    ref="refs/heads/main",
    repository_id="4711",
    workflow=".github/workflows/skills.yml",
)


def refused(expected: Expected = STRICT, commit: str = COMMIT, now: float = NOW, **changes: object) -> str | None:
    try:
        check_claims(claims_of(COMMIT, ISSUER, now=NOW, **changes), expected, commit=commit, now=now)
    except DeniedError as error:
        return error.code
    return None


def test_the_token_of_a_push_to_the_branch_may_deploy_its_commit() -> None:
    assert refused() is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": f"{ISSUER}/"}, "OIDC_ISSUER"),
        ({"iss": "https://token.actions.githubusercontent.com.example"}, "OIDC_ISSUER"),
        ({"iss": None}, "OIDC_ISSUER"),
        ({"aud": "https://github.com/octo"}, "OIDC_AUDIENCE"),
        ({"aud": [AUDIENCE, "https://other.example"]}, "OIDC_AUDIENCE"),
        ({"aud": [AUDIENCE]}, "OIDC_AUDIENCE"),
        ({"aud": AUDIENCE + "/"}, "OIDC_AUDIENCE"),
        ({"aud": ""}, "OIDC_AUDIENCE"),
        ({"aud": None}, "OIDC_AUDIENCE"),
        ({"exp": NOW - SKEW_SECONDS}, "OIDC_EXPIRED"),
        ({"exp": None}, "OIDC_TIME_INVALID"),
        ({"exp": "soon"}, "OIDC_TIME_INVALID"),
        ({"exp": True}, "OIDC_TIME_INVALID"),
        ({"exp": float("nan")}, "OIDC_TIME_INVALID"),
        ({"exp": NOW + LONGEST_SECONDS + 1}, "OIDC_TIME_INVALID"),
        ({"nbf": NOW + SKEW_SECONDS + 1}, "OIDC_NOT_YET_VALID"),
        ({"iat": NOW + SKEW_SECONDS + 1}, "OIDC_NOT_YET_VALID"),
        ({"iat": None, "nbf": None}, "OIDC_TIME_INVALID"),
        ({"repository": "octo/other"}, "OIDC_REPOSITORY"),
        ({"repository": "mallory/skills"}, "OIDC_REPOSITORY"),
        ({"repository": None}, "OIDC_REPOSITORY"),
        ({"repository_id": "4712"}, "OIDC_REPOSITORY_ID"),
        ({"repository_id": 4711}, "OIDC_REPOSITORY_ID"),
        ({"repository_id": None}, "OIDC_REPOSITORY_ID"),
        ({"ref": "refs/heads/feature"}, "OIDC_REF"),
        ({"ref": "refs/tags/main"}, "OIDC_REF"),
        ({"ref": "refs/pull/1/merge"}, "OIDC_REF"),
        ({"ref": "main"}, "OIDC_REF"),
        ({"ref": "refs/heads/MAIN"}, "OIDC_REF"),
        ({"ref": None}, "OIDC_REF"),
        ({"event_name": "pull_request_target"}, "OIDC_EVENT"),
        ({"event_name": "pull_request"}, "OIDC_EVENT"),
        ({"event_name": None}, "OIDC_EVENT"),
        ({"workflow_ref": "octo/skills/.github/workflows/other.yml@refs/heads/main"}, "OIDC_WORKFLOW"),
        ({"workflow_ref": "octo/skills/.github/workflows/skills.yml@refs/heads/feature"}, "OIDC_WORKFLOW"),
        ({"workflow_ref": "mallory/skills/.github/workflows/skills.yml@refs/heads/main"}, "OIDC_WORKFLOW"),
        ({"workflow_ref": "octo/skills/.github/workflows/Skills.yml@refs/heads/main"}, "OIDC_WORKFLOW"),
        ({"workflow_ref": None}, "OIDC_WORKFLOW"),
        ({"sha": "d" * 40}, "OIDC_COMMIT"),
        ({"sha": None}, "OIDC_COMMIT"),
    ],
)
def test_a_claim_that_is_wrong_or_missing_is_refused_by_its_own_code(changes: dict[str, Any], code: str) -> None:
    assert refused(**changes) == code


def test_a_token_without_commit_does_not_fit_a_call_without_commit() -> None:
    assert refused(commit="") == "OIDC_COMMIT"


def test_clocks_may_stand_a_minute_apart() -> None:
    assert refused(exp=NOW - SKEW_SECONDS + 1, iat=NOW - 300, nbf=NOW - 300) is None
    assert refused(iat=NOW + SKEW_SECONDS, nbf=NOW + SKEW_SECONDS) is None


def test_names_of_owner_and_repository_do_not_tell_upper_from_lower_case() -> None:
    workflow = "Octo/Skills/.github/workflows/skills.yml@refs/heads/main"
    assert refused(repository="Octo/Skills", workflow_ref=workflow) is None


def test_what_no_setting_names_is_not_asked_for() -> None:
    lenient = replace(STRICT, repository_id=None, workflow=None)
    assert (
        refused(lenient, repository_id="1", workflow_ref="octo/skills/.github/workflows/x.yml@refs/heads/main") is None
    )


def test_without_an_audience_no_token_is_accepted() -> None:
    assert refused(replace(STRICT, audience=""), aud="") == "OIDC_AUDIENCE"
