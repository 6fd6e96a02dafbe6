"""Every word that the pages have for states, outcomes and reasons: a sign and a tone beside each, never a colour alone."""

from __future__ import annotations

from dataclasses import dataclass

from shared.errors import ConfigError, ConflictError, DeadlineError, NotFoundError, SkillSyncError, UnavailableError


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A state in words, with a sign that is read where colours are not. `tone`: good, warn, bad or quiet."""

    text: str
    sign: str
    tone: str


def _good(text: str) -> Word:
    return Word(text=text, sign="✓", tone="good")


def _warn(text: str) -> Word:
    return Word(text=text, sign="!", tone="warn")


def _bad(text: str) -> Word:
    return Word(text=text, sign="✕", tone="bad")


def _quiet(text: str) -> Word:
    return Word(text=text, sign="○", tone="quiet")


CONDITIONS = {"READY": _good("READY"), "DEGRADED": _warn("DEGRADED"), "PAUSED": _bad("PAUSED")}
MEANINGS = {
    "READY": "Deployments go on.",
    "DEGRADED": "Deployments go on; something is wrong that a person should look at.",
    "PAUSED": "Nothing is deployed until an operator has acted. What is live is served on.",
}
HEALTH = {"healthy": _good("healthy"), "degraded": _warn("degraded"), "unhealthy": _bad("unhealthy")}
OUTCOMES = {
    "success": _good("deployed"),
    "rejected": _warn("only withheld"),
    "rolled_back": Word(text="rolled back", sign="↶", tone="warn"),
}
PULLERS = {
    "current": _good("current"),
    "behind": _warn("behind"),
    "held": _bad("held"),
    "silent": _bad("silent"),
}
SERVICES = {
    "running": _good("running"),
    "enabled": _good("enabled"),
    "connected": _good("connected"),
    "stale": _bad("stale"),
    "never": _bad("never"),
    "disabled": _quiet("disabled"),
    "behind": _warn("behind"),
    "unreachable": _bad("unreachable"),
}
PROOFS = {
    "holds": _good("reload proved"),
    "open": _warn("reload not proved"),
}
UNPROVED = _quiet("no proof of a reload yet")
SKILLS = {
    "live": _good("live"),
    "newer": _warn("live, newer version withheld"),
    "absent": _bad("withheld, not live"),
}
REASONS = {
    "rejected": "Rejected by the rules: its author mends it and pushes again.",
    "together": "Waits for a rejected skill of the same push.",
    "rolled_back": "Held back by a rollback, until it changes or is released.",
    "unhealthy": "A gateway did not stand it: push a mended version, or release it.",
    "deletion_guard": "A deletion that waits for a person: releasing it deletes the skill.",
}
CREDENTIALS = {
    "ok": _good("in time"),
    "due": _warn("due"),
    "overdue": _bad("overdue"),
    "rotating": _warn("being rotated"),
}
INDICATORS = {
    "webhook_success_rate": "Webhooks that arrived",
    "deployment_success_rate": "Syncs that ended with a verdict",
    "latency_to_volume_p50": "Push to volume, median",
    "latency_to_volume_p95": "Push to volume, slowest twentieth",
    "hot_reload_success": "Reloads proved",
    "gateway_uptime": "Gateway up",
}
UNKNOWN = _quiet("unknown")
NOTHING = _quiet("nothing to measure")

DONE = {
    "deployed": _good("Done: a new deployment is live."),
    "deployed-in-part": _warn("A new deployment is live, and some skills were withheld: see Withheld."),
    "withheld": _warn("Nothing new went live: what changed is withheld, see Withheld."),
    "unchanged": _good("Nothing to do: what is live agrees already."),
    "deferred": _warn("Not finished in time. What was stored stays, and the next poll finishes it."),
}
_TRY_AGAIN = "Nothing changed. Try again in a minute."
FAILED = {
    "PAUSED": _bad("Refused: deployments are paused. The state above says what to do next."),
    "BUSY": _bad("Not finished in time, and nothing changed: another deployment was in the way. Try again."),
    "CONFLICT": _bad("Somebody else was first. Look at what is live now, and try again."),
    "NOT_WITHHELD": _bad("Refused: one of these skills is not withheld any more. Look again."),
    "DEPLOYMENT_UNKNOWN": _bad("Refused: there is no record of that deployment."),
    "OBJECT_MISSING": _bad("Refused: what that deployment held was collected as garbage."),
    "SOURCE": _bad(f"The repository could not be read. {_TRY_AGAIN}"),
    "STORE": _bad("The store could not be read or written. Look at the deployments before you try again."),
    "CONFIG": _bad("A setting of the functions is missing or wrong; their log names it."),
    "UNAVAILABLE": _bad("Something that this needs does not answer. Look at the deployments before you try again."),
    "FAILED": _bad("It did not work; the functions' log says why. Look at the deployments before you try again."),
}


def failure_key(error: SkillSyncError) -> str:
    """Return under which key of `FAILED` an error is told; nothing of its own text goes into an address."""
    if error.code in FAILED:
        return error.code
    for prefix in ("SOURCE", "STORE"):
        if error.code.startswith(prefix):
            return prefix
    kinds: tuple[tuple[type[SkillSyncError], str], ...] = (
        (DeadlineError, "BUSY"),
        (ConflictError, "CONFLICT"),
        (UnavailableError, "UNAVAILABLE"),
        (ConfigError, "CONFIG"),
        (NotFoundError, "DEPLOYMENT_UNKNOWN"),
    )
    return next((key for kind, key in kinds if isinstance(error, kind)), "FAILED")


REFUSALS = {
    401: ("The API key is missing or wrong", "Any user name will do; the password is MANUAL_SYNC_API_KEY."),
    403: (
        "This form cannot be used",
        "It is older than a quarter of an hour, or was not made by this page. Nothing was done: go back and begin again.",
    ),
    404: ("Not found", "There is nothing under this address, or not any more."),
    409: (
        "Refused as things stand",
        "What is live could not be proved, or somebody else was first. Look at the state.",
    ),
    413: ("Too much was sent", "Choose fewer skills at once."),
    503: (
        "Not available",
        "The functions, or what they stand on, do not answer as they should. Try again in a minute.",
    ),
}
REFUSED = ("The request was not understood", "Nothing was done. Begin again on the first page.")
