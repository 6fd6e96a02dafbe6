"""The credentials that are rotated: one row each, with its cadence and what people read when it lapses.

Which values are current is the settings' and the trust's business, how one is replaced by the next `rotation`'s. A value is
never named here or anywhere else, only its fingerprint: the first 8 hex digits of its SHA-256.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from shared.core.names import is_slug
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from shared.model import Trust

PULLER_PREFIX = "PULLER_KEY."
"""Behind it stands the puller's id: every puller has a key of its own."""
FINGERPRINT_CHARS = 8
LEAST_CHARS = 32


class Mark(StrEnum):
    """How one check of a credential, or of anything else that `doctor` looks at, ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was tried.

    Args:
        name: What was tried, a slug such as `new-token-reads-the-head`.
        mark: How it ended.
        code: Stable, for machines; empty when it went well.
        text: One sentence for people; never a value.
        fix: What to do about it; empty when it went well.
    """

    name: str
    mark: Mark
    code: str = ""
    text: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenNote:
    """What GitHub told of the personal token that it has last accepted.

    Args:
        fingerprint: Of the token.
        expires_at: When it ends, in UTC; None when that was not told.
    """

    fingerprint: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of credential.

    Args:
        name: As the setting is named that holds it; `OPERATOR_KEY` for the key that no setting holds.
        cadence_days: How long a value is used at most.
        kept: Where a person finds it.
        overlap: How two values are accepted at once.
        symptom: What is seen when it has lapsed, or is wrong.
    """

    name: str
    cadence_days: int
    kept: str
    overlap: str
    symptom: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="GITHUB_WEBHOOK_SECRET",
            cadence_days=30,
            kept="the functions' setting, and the webhook's settings on GitHub",
            overlap="two lines, newest first",
            symptom="deliveries are answered 401 SIGNATURE_INVALID; deployments come by polling alone, minutes late",
        ),
        Kind(
            name="GITHUB_TOKEN",
            cadence_days=90,
            kept="the functions' setting",
            overlap="a second token, two lines, newest first",
            symptom="syncs and polls end with SOURCE_DENIED or SOURCE_NOT_FOUND; nothing new is deployed",
        ),
        Kind(
            name="GITHUB_APP_KEY",
            cadence_days=90,
            kept="the functions' setting, and the App's settings on GitHub",
            overlap="a second key of the App, one PEM below the other, newest first",
            symptom="syncs and polls end with SOURCE_DENIED; nothing new is deployed",
        ),
        Kind(
            name="MANUAL_SYNC_API_KEY",
            cadence_days=30,
            kept="the functions' setting, and with every operator and every job that calls with it",
            overlap="two lines, newest first",
            symptom="operators' commands and the scheduler's polls are answered 401 API_KEY_INVALID",
        ),
        Kind(
            name="PULLER_KEY",
            cadence_days=30,
            kept="the volume host's setting; the functions hold its SHA-256 in PULLER_KEY_HASHES",
            overlap="two lines of PULLER_KEY_HASHES with the puller's id, newest first",
            symptom="the puller is refused (401 PULLER_KEY_INVALID) and turns silent; the volume gets nothing new",
        ),
        Kind(
            name="NEO4J_PASSWORD",
            cadence_days=30,
            kept="the functions' setting, and the user in Neo4j",
            overlap="a second user: two lines of NEO4J_USER and of NEO4J_PASSWORD, newest first",
            symptom="the audit graph falls behind with AUDIT_DENIED; deployments go on",
        ),
        Kind(
            name="SIGNING_KEY",
            cadence_days=90,
            kept="the functions' setting; its public half is named by the trust",
            overlap="the trust names both; two lines of SIGNING_KEY, newest first",
            symptom="every sync ends with SIGNING_KEY_UNTRUSTED; pointers are not renewed and expire",
        ),
        Kind(
            name="OPERATOR_KEY",
            cadence_days=365,
            kept="the operator's folder, offline; its public half is named by the trust",
            overlap="the trust names both",
            symptom="no version of the trust can be signed: no bump of the epoch, no rotation of SIGNING_KEY",
        ),
    )
}


def kind_of(name: str) -> Kind:
    """Return the kind that a credential's name belongs to.

    Args:
        name: A key of `KINDS` other than `PULLER_KEY`, or `PULLER_KEY.<puller id>`.

    Raises:
        InputError: `ROTATION_NAME_UNKNOWN`.
    """
    if name.startswith(PULLER_PREFIX) and is_slug(name.removeprefix(PULLER_PREFIX)):
        return KINDS["PULLER_KEY"]
    if name in KINDS and name != "PULLER_KEY":
        return KINDS[name]
    known = ", ".join(f"{each}.<puller id>" if each == "PULLER_KEY" else each for each in KINDS)
    raise InputError("ROTATION_NAME_UNKNOWN", f"expected one of {known}")


def puller_of(name: str) -> str:
    """Return whose key it is; empty for every other credential."""
    return name.removeprefix(PULLER_PREFIX) if name.startswith(PULLER_PREFIX) else ""


def weakness(value: str) -> Check | None:
    """Say what is wrong with the form of a value that is to be used; None when nothing is.

    Blanks at the end and a carriage return are stripped where settings are read; what stands inside was pasted wrongly.
    """
    if any(char.isspace() for char in value):
        return Check(
            name="value-has-no-blanks",
            mark=Mark.FAIL,
            code="VALUE_HAS_BLANKS",
            text="the value has blanks inside",
            fix="make a new one with `keys new`, and paste it whole",
        )
    if len(value) < LEAST_CHARS:
        return Check(
            name="value-is-long-enough",
            mark=Mark.FAIL,
            code="VALUE_TOO_SHORT",
            text=f"the value has fewer than {LEAST_CHARS} characters",
            fix="make a new one with `keys new`",
        )
    return None


def named_by(trust: Trust) -> dict[str, tuple[str, ...]]:
    """Return the fingerprints of the keys that the trust names, newest first: a key is added behind the others.

    Args:
        trust: The newest version.
    """
    return {
        "SIGNING_KEY": shortened(reversed([*trust.signer_keys])),
        "OPERATOR_KEY": shortened(reversed([*trust.operator_keys])),
    }


def shortened(digests: Iterable[str]) -> tuple[str, ...]:
    """Return the fingerprints of what these digests, hex, are of."""
    return tuple(digest[:FINGERPRINT_CHARS] for digest in digests)


def failed(checks: Iterable[Check]) -> list[Check]:
    """Return the checks that failed."""
    return [check for check in checks if check.mark is Mark.FAIL]
