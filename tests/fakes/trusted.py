"""A chain of trust for the tests: an operator, signers, and versions that follow one another."""

from __future__ import annotations

import base64
from dataclasses import replace

from shared.adapters.signer import Ed25519Signer
from shared.core.trust import sign_trust
from shared.model import Trust


def a_signer(number: int) -> Ed25519Signer:
    """A key that is the same in every run."""
    return Ed25519Signer(base64.b64encode(bytes([number]) * 32).decode())


OPERATOR = a_signer(200)


def first_version(signer: Ed25519Signer, *, repo: str, ref: str, operator: Ed25519Signer = OPERATOR) -> Trust:
    """Version 1 for a signer."""
    return Trust(
        version=1,
        channel="prod",
        repo=repo,
        ref=ref,
        epoch=1,
        signer_keys={signer.key_id: signer.public_key},
        operator_keys={operator.key_id: operator.public_key},
        reason="the first version",
        issued_at="2026-01-01T00:00:00.000Z",
        expires_at="2036-01-01T00:00:00.000Z",
    )


def anchor(trust: Trust, operator: Ed25519Signer = OPERATOR) -> str:
    """A version as it is pinned."""
    return sign_trust(trust, operator).decode()


def following(trust: Trust, **changes: object) -> Trust:
    """The version after it."""
    return replace(trust, version=trust.version + 1, past_signers={}, **changes)  # type: ignore[arg-type]
