"""The calls about credentials: how rotations stand, and the steps of one. What each may do is `service.rotation`'s business."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from shared import wiring
from shared.core.credentials import named_by, shortened
from shared.core.plain_text import fingerprint
from shared.errors import InputError
from shared.held import held_by

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.service.rotation_bench import Bench, Seen

VERIFY_SECONDS = 20.0
_RESULTS = {"begin": "begun", "verify": "verified", "finish": "finished", "abort": "aborted"}


def rotations(found: Settings) -> dict[str, object]:
    """Say how every credential stands."""
    from shared.service.rotation_bench import look

    bench = bench_of(found)
    return _document(bench, look(bench))


def rotate(found: Settings, action: str, name: str, expected: str, api_key: str) -> dict[str, object]:
    """Take one step of a rotation.

    Args:
        found: The settings.
        action: `begin`, `verify`, `finish` or `abort`.
        name: The credential.
        expected: The new value's fingerprint, as far as the operator said; else empty.
        api_key: The key that the call came in with.

    Raises:
        InputError: `ROTATION_ACTION_UNKNOWN`; as the steps.
        ConflictError: as the steps.
    """
    from shared.service import rotation
    from shared.service.rotation_bench import look

    if action not in _RESULTS:
        raise InputError("ROTATION_ACTION_UNKNOWN", f"the action is one of {', '.join(_RESULTS)}")
    bench = bench_of(found, api_key)
    checks: list[dict[str, str]] = []
    if action == "verify":
        tried, following = rotation.verify(bench, name, expected, VERIFY_SECONDS)
        checks = [asdict(check) for check in tried]
    else:
        following = {"begin": rotation.begin, "finish": rotation.finish, "abort": rotation.abort}[action](bench, name)
    return {"result": _RESULTS[action], "checks": checks, "next": following, **_document(bench, look(bench))}


def bench_of(found: Settings, api_key: str = "") -> Bench:
    """Build what a rotation is given.

    Args:
        found: The settings.
        api_key: The key that the call came in with; empty where that does not matter.
    """
    from shared.service.rotation_bench import Bench

    trust = wiring.trust(found, fresh=True)
    return Bench(
        store=wiring.store(found),
        trust=trust,
        clock=wiring.clock(),
        together=wiring.together(),
        poll_seconds=found.polling_interval_seconds,
        held={**held_by(found), **named_by(trust)},
        signers=shortened(wiring.signer_ids(found)),
        probes={
            "GITHUB_TOKEN": lambda: wiring.github_probe(found),
            "GITHUB_APP_KEY": lambda: wiring.github_probe(found),
            "NEO4J_PASSWORD": lambda: wiring.graph_probe(found),
        },
        stranger=wiring.stranger,
        caller=fingerprint(api_key) if api_key else "",
    )


def _document(bench: Bench, seen: Seen) -> dict[str, object]:
    from shared.core.credential_notes import dues_noted
    from shared.core.rotation_view import rotation_document

    dues = {due.name: due for due in dues_noted(seen.summary)}
    return rotation_document(
        seen.kept.active, seen.kept.records, seen.holdings, dues, quiet=bench.quiet, now=bench.clock.now()
    )
