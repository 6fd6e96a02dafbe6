"""Writing events, so that whoever reads them in the order of their names misses none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.canonical import digest_of
from shared.core.events import LATE, event, time_of
from shared.core.names import timestamp
from shared.service.objects import create_once

if TYPE_CHECKING:
    from datetime import datetime

    from shared.ports import Store


def tell(store: Store, name: str, data: bytes, now: datetime) -> bool:
    """Write an event unless it is there.

    Its name begins with the time of what it tells, which makes it the same event when it is written again. That time may lie
    far back: readers that go on from where they were would never see it. Such an event is therefore announced by another one
    of the time of writing, which comes first: a crash between the two leaves an announcement of nothing, and whoever tells
    the event again announces it again.

    Args:
        store: Where.
        name: The event's name, as `core.events.event` made it.
        data: Its content.
        now: The time.

    Returns:
        Whether it is new.
    """
    if (now - time_of(name)).total_seconds() > LATE.total_seconds():
        if store.get(name) is not None:
            return False
        at = timestamp(now)
        key = f"late-{digest_of(name.encode())[:16]}"
        create_once(store, *event(at, key, "late", {"event": name}))
    return create_once(store, name, data)
