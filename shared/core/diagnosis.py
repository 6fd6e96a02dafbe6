"""What `doctor` makes of what is known: of health, states and due dates, as checks that say what to fix. Pure.

What has to be tried out (the store, GitHub, the audit graph) is tried by `diagnose`, which puts all of it together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.credentials import Check, Mark

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

_RUNBOOKS = "infra/runbooks"
_PULLERS = {
    "current": (Mark.OK, ""),
    "behind": (Mark.WARN, "it installs at its next look; if not, run the puller with --check on its host"),
    "held": (Mark.FAIL, f"look at the gateway: {_RUNBOOKS}/operations.md#failed-health-check"),
    "silent": (Mark.FAIL, "see whether it runs, and run it with --check; a retired one leaves PULLER_KEY_HASHES"),
}
_POLLER = {
    "running": (Mark.OK, ""),
    "stale": (Mark.FAIL, f"look at the scheduler's job: {_RUNBOOKS}/operations.md#poller-stale"),
    "never": (Mark.FAIL, "let the scheduler POST /api/poll; nothing renews the pointer without it"),
}
_DUE = {
    "ok": Mark.OK,
    "rotating": Mark.OK,
    "due": Mark.WARN,
    "overdue": Mark.FAIL,
    "unknown": Mark.WARN,
}


def configuration_checks(missing: Collection[str], optional: Mapping[str, str], odd_lines: int) -> Iterator[Check]:
    """Say what the settings lack.

    Args:
        missing: Names of settings that nothing works without.
        optional: Names of others that are not set, and what is lost by that.
        odd_lines: How many lines of PULLER_KEY_HASHES are none.
    """
    if missing:
        names = ", ".join(sorted(missing))
        yield _check(
            "settings-are-complete", Mark.FAIL, "CONFIG_MISSING", f"not set: {names}", "set them, or <NAME>_FILE"
        )
    else:
        yield _check("settings-are-complete", Mark.OK)
    for name, lost in sorted(optional.items()):
        yield _check(f"{_slug(name)}-is-set", Mark.WARN, "CONFIG_OPTIONAL", f"{name} is not set: {lost}", f"set {name}")
    if odd_lines:
        yield _check(
            "puller-key-hashes-are-readable",
            Mark.FAIL,
            "PULLER_KEY_HASHES_INVALID",
            f"{odd_lines} lines are not <puller id>:<SHA-256 of its key, 64 hex digits>",
            "make them with: keys new PULLER_KEY --puller ID",
        )


def state_checks(state: Mapping[str, object], action: str) -> Iterator[Check]:
    """Say whether anything is deployed.

    Args:
        state: The answer of `GET /api/operational-state`.
        action: What a person has to do next, as `GET /api/dr-state` says.
    """
    condition = str(state.get("state"))
    reasons = ", ".join(_texts(state.get("reasons"))) or "no reason"
    mark = {"READY": Mark.OK, "DEGRADED": Mark.WARN}.get(condition, Mark.FAIL)
    fix = "" if mark is Mark.OK else action if action != "none" else f"{_RUNBOOKS}/disaster-recovery.md"
    text = condition if mark is Mark.OK else f"{condition}: {reasons}"
    yield _check("deployments-are-allowed", mark, "" if mark is Mark.OK else condition, text, fix)


def service_checks(health: Mapping[str, object]) -> Iterator[tuple[str, Check]]:
    """Say how poller, webhook, audit graph and pullers stand, each with its area.

    Args:
        health: The answer of `GET /health`.
    """
    services = _mapping(health.get("services"))
    yield "poller", _poller(_mapping(services.get("poller")))
    yield "webhook", _webhook(_mapping(services.get("webhook")))
    audit = _mapping(services.get("audit"))
    if audit.get("status") in {"behind", "unreachable"}:
        text = f"{audit.get('pending')} deployments behind: {audit.get('error') or 'it catches up by itself'}"
        yield "audit", _check("audit-graph-is-fed", Mark.WARN, "AUDIT_BEHIND", text, "see whether Neo4j answers")
    pullers = [_mapping(item) for item in _list(services.get("pullers"))]
    for puller in pullers:
        yield "pullers", _puller(puller)
    if not pullers:
        text, fix = "no puller has a key, and none ever reported", "keys new PULLER_KEY --puller ID"
        yield "pullers", _check("a-puller-is-known", Mark.WARN, "PULLER_NONE", text, fix)


def credential_checks(rotations: Mapping[str, object]) -> Iterator[Check]:
    """Say of each credential when it is due, and what is seen when it lapses.

    Args:
        rotations: The answer of `GET /api/rotation`.
    """
    for item in map(_mapping, _list(rotations.get("credentials"))):
        name, state = str(item.get("name")), str(item.get("state"))
        mark = _DUE.get(state, Mark.WARN)
        when = f"due {str(item.get('due_at'))[:10]}, {item.get('days_left')} days left" if item.get("due_at") else state
        text = when if mark is Mark.OK else f"{when}; when it lapses: {item.get('symptom')}"
        fix = "" if mark is Mark.OK else "let a poll look first" if state == "unknown" else f"rotate begin {name}"
        yield _check(name, mark, "" if mark is Mark.OK else f"CREDENTIAL_{state.upper()}", text, fix)
        if item.get("retired"):
            text = f"the old value {item['retired']} is still accepted"
            yield _check(name, Mark.WARN, "CREDENTIAL_RETIRED_ACCEPTED", text, f"take it away: {item.get('kept')}")
    active = _mapping(rotations.get("active"))
    if active:
        name = str(active.get("name"))
        step = f"rotate finish {name}" if active.get("verified") else f"rotate verify {name}"
        text = f"{name} is being rotated since {active.get('begun_at')}"
        yield _check("rotation-is-under-way", Mark.WARN, "ROTATION_OPEN", text, f"{step}, or rotate abort {name}")


def _poller(poller: Mapping[str, object]) -> Check:
    mark, fix = _POLLER.get(str(poller.get("status")), (Mark.FAIL, ""))
    if mark is Mark.OK and poller.get("error"):
        text = f"polls fail since {poller.get('error_at')}"
        return _check(
            "polls-finish", Mark.FAIL, str(poller["error"]), text, f"{_RUNBOOKS}/operations.md#deployment-failed"
        )
    text = f"{poller.get('status')}, last at {poller.get('last_check') or 'no time'}"
    return _check("polls-finish", mark, "" if mark is Mark.OK else "POLLER_STALE", text, fix)


def _webhook(webhook: Mapping[str, object]) -> Check:
    last = webhook.get("last_received")
    if last:
        return _check("webhooks-come-in", Mark.OK, "", f"last at {last}")
    fix = f"make the webhook and ping it: {_RUNBOOKS}/webhook-setup.md"
    return _check("webhooks-come-in", Mark.WARN, "WEBHOOK_NEVER", "no webhook has asked for a sync yet", fix)


def _puller(puller: Mapping[str, object]) -> Check:
    status = str(puller.get("status"))
    mark, fix = _PULLERS.get(status, (Mark.FAIL, ""))
    reasons = ", ".join(_texts(puller.get("reasons")))
    text = f"{puller.get('id')}: {status} at {puller.get('deployment') or 'nothing'}" + (
        f" ({reasons})" if reasons else ""
    )
    code = "" if mark is Mark.OK else f"PULLER_{status.upper()}"
    return _check("puller-follows", mark, code, text, fix)


def _check(name: str, mark: Mark, code: str = "", text: str = "", fix: str = "") -> Check:
    return Check(name=name, mark=mark, code=code, text=text, fix=fix)


def _slug(name: str) -> str:
    return name.lower().replace("_", "-")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(item) for item in _list(value)]
