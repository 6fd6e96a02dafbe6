"""The look at what is due: values that nobody rotated by the rules are written down, and the summary says what is due when.

Made by every step of a rotation, and by a poll once an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.credential_notes import token_noted, with_dues
from shared.core.credentials import puller_of
from shared.core.dues import due_of, token_end
from shared.core.rotation import Record, adopted, is_retired_accepted
from shared.service.rotation_bench import look
from shared.service.rotation_store import drop_record, write_record
from shared.service.summary_store import change_summary
from shared.service.trust_since import named_since

if TYPE_CHECKING:
    from shared.core.dues import Due
    from shared.core.rotation import Holding
    from shared.core.summary import Summary
    from shared.service.rotation_bench import Bench, Seen

BY_TRUST = {"SIGNING_KEY": "signer_keys", "OPERATOR_KEY": "operator_keys"}
"""These the trust names, in that member."""
INSTEAD = {"GITHUB_TOKEN": "GITHUB_APP_KEY", "GITHUB_APP_KEY": "GITHUB_TOKEN"}
"""Of these only one is ever used: an App takes the token's place."""


def note_dues(bench: Bench, seen: Seen | None = None) -> Seen:
    """Write down values that nobody rotated by the rules, and note in the summary what is due when.

    Args:
        bench: The ports.
        seen: A look that was made just now; None makes one.

    Returns:
        What was found.
    """
    seen = look(bench) if seen is None else seen
    now = bench.clock.now()
    dues: list[Due] = []
    for name, holding in seen.holdings.items():
        known = seen.kept.records.get(name)
        if known is not None and _is_gone(bench, name):
            drop_record(bench.store, name, seen.kept)
            continue
        record = _dated(bench, adopted(name, holding, known, seen.kept.active, now), known)
        if record is not None and record != known:
            write_record(bench.store, record, seen.kept)
        if record is not None:
            dues.append(_due(bench, seen.summary, record, holding))
    change_summary(bench.store, lambda summary: with_dues(summary, dues, seen.kept.active, now))
    return seen


def _due(bench: Bench, summary: Summary, record: Record, holding: Holding) -> Due:
    ends, source = "", ""
    if record.name == "GITHUB_TOKEN":
        ends, source = token_end(token_noted(summary), record.fingerprint), "header"
    if record.name in BY_TRUST:
        ends, source = bench.trust.expires_at, "trust"
    retired = record.retired if is_retired_accepted(record, holding) else ""
    return due_of(record, ends=ends, ends_from=source, retired=retired)


def _dated(bench: Bench, record: Record | None, known: Record | None) -> Record | None:
    """Return a new record with the date that the trust tells, where it names the key."""
    if record is None or record == known or record.name not in BY_TRUST:
        return record
    since = named_since(bench.store, bench.trust, BY_TRUST[record.name], record.fingerprint)
    return Record(name=record.name, fingerprint=record.fingerprint, since=since or record.since, known_from="trust")


def _is_gone(bench: Bench, name: str) -> bool:
    """Whether nothing needs this credential any more; who holds none of its kind cannot tell that one is gone."""
    if name in bench.held:
        return False
    if puller_of(name):
        return any(puller_of(each) for each in bench.held)
    return INSTEAD.get(name) in bench.held
