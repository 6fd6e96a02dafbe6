"""`GET /api/doctor`: everything that can be tried from where the functions run, each part for itself, so that all is told."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING

from shared import log, reading, rotating, wiring
from shared.core.auth import puller_keys
from shared.core.credentials import Check, Mark
from shared.core.diagnosis import configuration_checks, credential_checks, service_checks, state_checks
from shared.core.names import CURRENT
from shared.errors import SkillSyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shared.config import Settings

PROBE_SECONDS = 10.0
"""All are made side by side, well within what an operator's call may take."""
PROBE_NAME = "probe/doctor-{}.json"
_NEEDED = ("STORE_URI", "SIGNING_KEY", "TRUST_ANCHOR", "MANUAL_SYNC_API_KEY")
_OPTIONAL = {
    "GITHUB_WEBHOOK_SECRET": "pushes are deployed by polling alone, minutes late",
    "PULLER_KEY_HASHES": "no puller can read anything",
    "ALERT_URLS": "nobody is told when something is wrong",
    "NEO4J_URI": "no audit graph is kept",
}
Found = list[tuple[str, Check]]


def doctor(found: Settings) -> dict[str, object]:
    """Try everything, and say what to fix.

    Returns:
        `checks`, each with its `area`, in the order in which they should be mended.
    """
    parts: tuple[tuple[str, Callable[[], Iterable[tuple[str, Check]]]], ...] = (
        ("configuration", lambda: _in("configuration", _configuration(found))),
        ("store", lambda: _in("store", _store(found))),
        ("trust", lambda: _in("trust", _trust(found))),
        ("github", lambda: _in("github", _probed(wiring.github_probe(found)))),
        ("webhook", lambda: _in("webhook", _probed(wiring.hook_probe(found)))),
        ("audit", lambda: _in("audit", _probed(wiring.graph_probe(found)))),
        ("poller", lambda: service_checks(reading.health(found))),
        ("credentials", lambda: _in("credentials", credential_checks(rotating.rotations(found)))),
    )
    results = wiring.together()([lambda area=area, part=part: _whole(area, part) for area, part in parts])  # type: ignore[misc]
    return {"checks": [{"area": area, **asdict(check)} for result in results for area, check in result]}


def _whole(area: str, part: Callable[[], Iterable[tuple[str, Check]]]) -> Found:
    """Run one part; what it fails with is what it found."""
    try:
        return list(part())
    except SkillSyncError as error:
        return [(area, _failed(error.code, error.message))]
    except Exception as error:  # noqa: BLE001 - an edge: one part that breaks must not hide the others
        log.unexpected(error, "A part of doctor broke", area=area)
        return [(area, _failed("INTERNAL", "unexpected error; the log has it"))]


def _in(area: str, checks: Iterable[Check]) -> Found:
    return [(area, check) for check in checks]


def _configuration(found: Settings) -> Iterable[Check]:
    missing = [name for name in _NEEDED if not found.is_given(name)]
    optional = {name: lost for name, lost in _OPTIONAL.items() if not found.is_given(name)}
    readable = sum(len(digests) for digests in puller_keys(found.puller_key_hashes).values())
    return configuration_checks(missing, optional, len(found.puller_key_hashes) - readable)


def _store(found: Settings) -> list[Check]:
    store = wiring.store(found)
    store.get(CURRENT)
    name = PROBE_NAME.format(secrets.token_hex(8))
    generation = store.put(name, b"{}", if_generation=0)
    store.delete(name, if_generation=generation)
    return [Check(name="store-can-be-read-and-written", mark=Mark.OK, text="an object was written and deleted")]


def _trust(found: Settings) -> list[Check]:
    believed = wiring.trust(found, fresh=True)
    trouble = wiring.trust_trouble(found)
    if trouble:
        fix = "somebody wrote to trust/ who holds no operator key: infra/runbooks/disaster-recovery.md"
        checks = [Check(name="trust-is-whole", mark=Mark.FAIL, code=trouble, text="a version does not follow", fix=fix)]
    else:
        text = f"version {believed.version}, epoch {believed.epoch}"
        checks = [Check(name="trust-is-whole", mark=Mark.OK, text=text)]
    if not set(wiring.signer_ids(found)) & set(believed.signer_keys):
        fix = "let the operator name it (operator signer add, operator trust push), or set the key that is named"
        text = "the trust names no key that this function holds"
        checks.append(
            Check(name="signing-key-is-trusted", mark=Mark.FAIL, code="SIGNING_KEY_UNTRUSTED", text=text, fix=fix)
        )
        return checks
    return [*checks, *state_checks(*reading.standing(found))]


def _probed(probe: Callable[[float], list[Check]] | None) -> list[Check]:
    return [] if probe is None else probe(PROBE_SECONDS)


def _failed(code: str, text: str) -> Check:
    return Check(name="could-be-looked-at", mark=Mark.FAIL, code=code, text=text, fix="mend this, then look again")
