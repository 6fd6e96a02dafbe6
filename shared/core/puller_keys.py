"""Under which of its keys a puller reported, and when: who still shows the old one is seen before it is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.names import is_time

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_KEYS = 4
_MEMBER = "keys"


def with_key(kept: Mapping[str, object], former: Mapping[str, object], fingerprint: str, at: str) -> dict[str, object]:
    """Add to a report under which key it came in, and what was known of others.

    Args:
        kept: The report.
        former: The one that was kept before it.
        fingerprint: The key's.
        at: When it came in.
    """
    times = {**key_uses(former), fingerprint: at}
    newest = sorted(times, key=lambda each: (times[each], each))[-MAX_KEYS:]
    return {**kept, _MEMBER: {each: times[each] for each in sorted(newest)}}


def key_uses(report: Mapping[str, object]) -> dict[str, str]:
    """Return when a puller reported last under each of its keys, by fingerprint."""
    value = report.get(_MEMBER)
    found = value if isinstance(value, dict) else {}
    return {key: at for key, at in found.items() if isinstance(key, str) and is_time(at)}
