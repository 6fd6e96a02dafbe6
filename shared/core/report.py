"""A puller's report: what of it is kept, and in which bounds. Who sent it is the caller's business, what it adds `tally`'s.

A puller may be broken or in wrong hands: every member has a form and a bound, and what goes on into the audit trail is made
of ids, codes and paths alone.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from shared.core.names import is_digest, is_slug, parse_deployment, parse_timestamp
from shared.core.states import Condition
from shared.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.core.rewind import Witness

SCHEMA = "skill-sync/report/1"
OUTCOMES = ("installed", "current", "held", "unproved", "failed", "refused")
"""`held`: what is offered failed its proof and the earlier files stand; `unproved`: installed, but the gateway was down."""
NOT_FOLLOWING = frozenset({"held", "unproved", "failed", "refused"})
"""With these outcomes a puller does not serve, or cannot prove that it serves, what is live."""
MAX_LISTED = 50
MAX_TEXT = 256
MAX_FAILED = 8
"""Deployments that failed one after the other; more of them do not lead to the first any sooner."""
MAX_COUNT = 10**11
"""Of milliseconds that a puller measured: about three years."""
_PROOFS = ("holds", "open")
_WHAT = ("changed", "missing", "added")
_ACTIONS = ("repaired", "reported", "kept")


def kept_report(puller: str, report: Mapping[str, object], floor: Witness | None, at: str) -> dict[str, object]:
    """Make what is kept of a report: the members that we know, in their form and within their bounds.

    Args:
        puller: Who reports, as its key proved.
        report: The body.
        floor: The newest pointer that the puller accepted, proved by our signature; None when it proved none.
        at: When the report came in. The puller's own `at` is kept beside it: its clock may be another.

    Raises:
        InputError: `REPORT_INVALID`, a member has not the form that it must have.
    """
    version = report.get("trust_version")
    return {
        "schema": SCHEMA,
        "id": puller,
        "last_report": at,
        "at": _time(report, "at"),
        "outcome": _choice(report.get("outcome"), "outcome", OUTCOMES),
        "deployment": _text(report, "deployment"),
        "manifest": _text(report, "manifest"),
        "installed_at": _text(report, "installed_at"),
        "reasons": _texts(report, "reasons"),
        "displaced": _texts(report, "displaced"),
        "failed": _failed(report.get("failed")),
        "failed_before": _failed_before(report),
        "drift": _drift(report),
        "install": _install(report.get("install")),
        "gateway": _gateway(report.get("gateway")),
        "state": None if _text(report, "state") is None else _choice(report["state"], "state", tuple(Condition)),
        "trust_version": version if isinstance(version, int) and not isinstance(version, bool) else None,
        "floor": None if floor is None else _floor(floor),
    }


def follows(report: Mapping[str, object]) -> bool:
    """Whether a kept report says that its puller serves what is live, and is not kept from it."""
    return report.get("outcome") not in NOT_FOLLOWING and report.get("state") != Condition.PAUSED


def _failed(value: object) -> dict[str, object] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _invalid("'failed' must be an object, or null")
    deployment, manifest, skills = value.get("deployment"), value.get("manifest"), value.get("skills", [])
    if not (isinstance(manifest, str) and is_digest(manifest)):
        raise _invalid("'failed' must name its manifest by 64 lower-case hex digits")
    if not isinstance(skills, list) or not all(isinstance(item, str) and is_slug(item) for item in skills):
        raise _invalid("the skills in 'failed' must be a list of ids")
    return {"deployment": _deployment(deployment), "manifest": manifest, "skills": skills[:MAX_LISTED]}


def _failed_before(report: Mapping[str, object]) -> list[dict[str, object] | None]:
    value = report.get("failed_before", [])
    if not isinstance(value, list):
        raise _invalid("'failed_before' must be a list of objects")
    return [_failed(item) for item in value[-MAX_FAILED:]]


def _deployment(value: object) -> str:
    try:
        parse_deployment(value if isinstance(value, str) else "")
    except InputError:
        raise _invalid("'failed' must name its deployment by <epoch>-<seq>") from None
    return str(value)


def _drift(report: Mapping[str, object]) -> list[dict[str, object]]:
    value = report.get("drift", [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _invalid("'drift' must be a list of objects")
    if value and report.get("at") is None:
        raise _invalid("a report of drift must say at which time it was made")
    return [
        {
            "path": _printable(item.get("path")),
            "what": _choice(item.get("what"), "what", _WHAT),
            "action": _choice(item.get("action"), "action", _ACTIONS),
        }
        for item in value[:MAX_LISTED]
    ]


def _install(value: object) -> dict[str, object] | None:
    """What is told of the install of `deployment`: how long before the report it ended, and how its proof did."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _invalid("'install' must be an object, or null")
    ago, proof = value.get("ago_ms"), value.get("proof")
    return {
        "ago_ms": None if ago is None else _count(ago, "ago_ms"),
        "proof": None if proof is None else _choice(proof, "proof", _PROOFS),
    }


def _gateway(value: object) -> dict[str, object] | None:
    """For how long this process of the puller has watched its gateway since it began, and for how long that was up."""
    if value is None:
        return None
    if not isinstance(value, dict) or value.get("since") is None:
        raise _invalid("'gateway' must be an object that says since when it counts, or null")
    watched, up = _count(value.get("watched_ms"), "watched_ms"), _count(value.get("up_ms"), "up_ms")
    if up > watched:
        raise _invalid("a gateway was not up for longer than it was watched")
    return {"since": _time(value, "since"), "watched_ms": watched, "up_ms": up}


def _count(value: object, key: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
        return value
    raise _invalid(f"{key!r} must be a whole number from 0 to {MAX_COUNT}")


def _printable(value: object) -> str:
    if not isinstance(value, str):
        raise _invalid("the path of a drift must be a text")
    # Anybody on the volume names files as they like: nothing that acts on a terminal, or hides, goes any further.
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value[:MAX_TEXT])


def _time(report: Mapping[str, object], key: str) -> str | None:
    value = _text(report, key)
    try:
        return value if value is None or parse_timestamp(value) else None
    except InputError:
        raise _invalid(f"{key!r} must be a time, YYYY-MM-DDTHH:MM:SS.mmmZ, or null") from None


def _floor(floor: Witness) -> dict[str, object]:
    return {
        "deployment": floor.pointer.deployment,
        "manifest": floor.pointer.manifest.sha256,
        "issued_at": floor.pointer.issued_at,
        "asked_at": floor.pointer.asked_at,
        "envelope": base64.b64encode(floor.envelope).decode(),
    }


def _choice(value: object, key: str, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in known:
        raise _invalid(f"{key!r} must be one of {', '.join(known)}")
    return value


def _text(report: Mapping[str, object], key: str) -> str | None:
    value = report.get(key)
    if value is None or (isinstance(value, str) and len(value) <= MAX_TEXT):
        return value
    raise _invalid(f"{key!r} must be a text of at most {MAX_TEXT} characters, or null")


def _texts(report: Mapping[str, object], key: str) -> list[str]:
    value = report.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _invalid(f"{key!r} must be a list of texts")
    return [item[:MAX_TEXT] for item in value[:MAX_LISTED]]


def _invalid(message: str) -> InputError:
    return InputError("REPORT_INVALID", message)
