"""What proves that a new value works, by credential; and that the check which passes it would not pass any other.

What an outside system must be asked for, its probe asks. What cannot be seen from here (a wrong signature that is refused at
the edge) is the command's business, which calls from outside.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.core.credentials import Check, Mark, puller_of
from shared.core.envelope import open_envelope, sign_envelope
from shared.core.names import CURRENT, later, trust_name
from shared.core.pointer import PAYLOAD_TYPE as POINTER_TYPE
from shared.core.trust import PAYLOAD_TYPE as TRUST_TYPE
from shared.core.trust import first_trust, next_trust, sign_trust
from shared.core.verify import UnverifiedPointer, is_by_any_signer
from shared.errors import UnverifiedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.core.rotation import Active
    from shared.model import Trust
    from shared.service.rotation_bench import Bench, Seen


def checks_of(bench: Bench, seen: Seen, active: Active, fingerprint: str, seconds: float) -> list[Check]:
    """Try the new value of the credential that is rotated.

    Args:
        bench: The ports.
        seen: What was found just now.
        active: The rotation.
        fingerprint: The new value's.
        seconds: How long a probe may take.
    """
    name = active.name
    own: dict[str, Callable[[], list[Check]]] = {
        "GITHUB_WEBHOOK_SECRET": lambda: [_used(seen, active, fingerprint, _PING)],
        "MANUAL_SYNC_API_KEY": lambda: [_called_with(bench, fingerprint)],
        "SIGNING_KEY": lambda: _signing(bench, seen, fingerprint),
        "OPERATOR_KEY": lambda: _operator(bench, fingerprint),
    }
    if puller_of(name):
        return [_used(seen, active, fingerprint, _REPORT)]
    if name in own:
        return own[name]()
    probe = bench.probes.get(name, lambda: None)()
    if probe is None:
        return [
            Check(
                name="held-here",
                mark=Mark.FAIL,
                code="CREDENTIAL_NOT_HELD",
                text=f"this function holds no {name}",
                fix="set it for the function that serves /api/rotation, or abort the rotation",
            )
        ]
    return probe(seconds)


_PING = "ping the webhook on GitHub, or push; then verify again"
_REPORT = "let the puller take the new key and report, which it does each minute; then verify again"


def _used(seen: Seen, active: Active, fingerprint: str, fix: str) -> Check:
    name = "call-came-in-under-the-new-value"
    at = seen.holdings[active.name].used.get(fingerprint, "")
    if at > active.begun_at:
        return Check(name=name, mark=Mark.OK, text=f"at {at}")
    text = "no call came in under the new value since the rotation was begun"
    return Check(name=name, mark=Mark.FAIL, code="NEW_VALUE_UNUSED", text=text, fix=fix)


def _called_with(bench: Bench, fingerprint: str) -> Check:
    name = "called-with-the-new-key"
    if bench.caller == fingerprint:
        return Check(name=name, mark=Mark.OK, text="this very call")
    text = f"this call came in under {bench.caller or 'no key'}"
    fix = "call again with the new key: it is the first line of the command's own MANUAL_SYNC_API_KEY"
    return Check(name=name, mark=Mark.FAIL, code="NEW_VALUE_UNUSED", text=text, fix=fix)


def _signing(bench: Bench, seen: Seen, fingerprint: str) -> list[Check]:
    return [
        _judged(
            "functions-hold-the-new-key",
            "" if fingerprint in bench.signers else f"held are {', '.join(bench.signers) or 'none'}",
            code="SIGNING_KEY_NOT_HELD",
            fix="put the new key into SIGNING_KEY as the first line",
        ),
        _judged(
            "every-puller-knows-the-trust",
            _behind(bench, seen),
            code="PULLER_BEHIND",
            fix="wait for its next report, or see why it is silent; a retired one leaves PULLER_KEY_HASHES",
        ),
        _judged(
            "live-pointer-is-signed-by-the-new-key",
            "" if _is_signed(bench, fingerprint) else "another key signed it",
            code="POINTER_NOT_RENEWED",
            fix="wait for the next poll, which signs it anew; then verify again",
        ),
        _stranger_signs_no_pointer(bench),
    ]


def _behind(bench: Bench, seen: Seen) -> str:
    expected = {puller_of(name) for name in bench.held if puller_of(name)}
    known = {str(report.get("id")): report.get("trust_version") for report in seen.reports}
    late = sorted(
        puller
        for puller in expected or known.keys()
        if not isinstance(version := known.get(puller), int) or version < bench.trust.version
    )
    return f"not at version {bench.trust.version} of the trust: {', '.join(late)}" if late else ""


def _is_signed(bench: Bench, fingerprint: str) -> bool:
    stored = bench.store.get(CURRENT)
    keys = {name: key for name, key in bench.trust.signer_keys.items() if name.startswith(fingerprint)}
    try:
        return stored is not None and bool(open_envelope(stored.data, POINTER_TYPE, keys))
    except UnverifiedError:
        return False


def _stranger_signs_no_pointer(bench: Bench) -> Check:
    stranger = None if bench.stranger is None else bench.stranger()
    accepted = stranger is None or is_by_any_signer(
        UnverifiedPointer(sign_envelope(b"{}", POINTER_TYPE, stranger)), bench.trust
    )
    return _judged(
        "a-made-up-key-is-refused",
        "a pointer that nobody we know has signed was let through" if accepted else "",
        code="MADE_UP_KEY_ACCEPTED",
        fix="treat it as an incident: the trust names a key that is not ours",
    )


def _operator(bench: Bench, fingerprint: str) -> list[Check]:
    trust = bench.trust
    newest, former = (_envelope(bench, number) for number in (trust.version, trust.version - 1))
    keys = {name: key for name, key in trust.operator_keys.items() if name.startswith(fingerprint)}
    fix = "sign a version with the new key that changes nothing: operator trust renew, operator trust push"
    return [
        _judged(
            "newest-trust-is-signed-by-the-new-key",
            "" if newest is not None and _opens(newest, keys) else "another key signed it",
            code="OPERATOR_KEY_NOT_PROVED",
            fix=fix,
        ),
        _judged(
            "that-version-changes-nothing",
            "" if former is not None and _is_same(first_trust(former), trust) else "it is no version that only renews",
            code="OPERATOR_KEY_NOT_PROVED",
            fix=fix,
        ),
        _stranger_signs_no_trust(bench),
    ]


def _envelope(bench: Bench, number: int) -> bytes | None:
    stored = bench.store.get(trust_name(number)) if number >= 1 else None
    return None if stored is None else stored.data


def _opens(envelope: bytes, keys: Mapping[str, bytes]) -> bool:
    try:
        return bool(open_envelope(envelope, TRUST_TYPE, keys))
    except UnverifiedError:
        return False


def _is_same(former: Trust, newest: Trust) -> bool:
    members = ("epoch", "ack", "signer_keys", "operator_keys", "channel", "repo", "ref")
    return all(getattr(former, member) == getattr(newest, member) for member in members)


def _stranger_signs_no_trust(bench: Bench) -> Check:
    accepted = bench.stranger is None
    if bench.stranger is not None:
        following = replace(
            bench.trust,
            version=bench.trust.version + 1,
            issued_at=later(bench.trust.issued_at, seconds=1),
            past_signers={},
        )
        try:
            next_trust(bench.trust, sign_trust(following, bench.stranger()))
            accepted = True
        except UnverifiedError:
            pass
    return _judged(
        "a-made-up-key-is-refused",
        "a version that nobody we know has signed was let through" if accepted else "",
        code="MADE_UP_KEY_ACCEPTED",
        fix="treat it as an incident: the trust names a key that is not ours",
    )


def _judged(name: str, wrong: str, *, code: str, fix: str) -> Check:
    if not wrong:
        return Check(name=name, mark=Mark.OK)
    return Check(name=name, mark=Mark.FAIL, code=code, text=wrong, fix=fix)
