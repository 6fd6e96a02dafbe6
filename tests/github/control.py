"""Turns the stand-in's switches over plain HTTP, for people who try things out at home. GitHub has nothing like it.

    curl -d '{"refs_lag": 2, "drop": 1}' http://127.0.0.1:8081/_control/switches
    curl http://127.0.0.1:8081/_control/deliveries

What the switches do is said where they are declared: `Switches` for the API and git, `DeliveryFaults` for webhooks.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from tests.git_server import Reply
from tests.github.events import ping

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.git_server import Received
    from tests.github.deliveries import Deliveries
    from tests.github.switches import Switches

PREFIX = "_control/"


class Control:
    """Answers what lies below `/_control/`.

    Args:
        switches: Those of the API and of git.
        deliveries: The webhooks, with their faults.
        bare: The repository that a ping speaks of.
    """

    def __init__(self, switches: Switches, deliveries: Deliveries, bare: Path) -> None:
        self._switches = switches
        self._deliveries = deliveries
        self._bare = bare
        self._routes: dict[tuple[str, str], Callable[[dict[str, object]], Reply]] = {
            ("GET", "switches"): self._show_switches,
            ("POST", "switches"): self._turn,
            ("POST", "ping"): self._ping,
            ("POST", "redeliver"): self._redeliver,
            ("GET", "deliveries"): self._show_deliveries,
        }

    def answer(self, received: Received) -> Reply | None:
        """Answer a request; None when it is none of ours."""
        path = received.path.lstrip("/")
        if not path.startswith(PREFIX):
            return None
        route = self._routes.get((received.method, path.removeprefix(PREFIX)))
        if route is None:
            known = [f"{method} /{PREFIX}{name}" for method, name in self._routes]
            return _reply(404, {"message": "no such control", "known": known})
        try:
            asked = json.loads(received.body or b"{}")
        except ValueError:
            asked = None
        return route(asked) if isinstance(asked, dict) else _reply(400, {"message": "the body is no JSON object"})

    def _show_switches(self, _asked: dict[str, object]) -> Reply:
        return _reply(200, {**asdict(self._switches), **asdict(self._deliveries.faults)})

    def _turn(self, asked: dict[str, object]) -> Reply:
        owners = {item.name: owner for owner in (self._switches, self._deliveries.faults) for item in fields(owner)}
        unknown = sorted(asked.keys() - owners.keys())
        if unknown:
            return _reply(400, {"message": f"unknown: {', '.join(unknown)}", "known": sorted(owners)})
        wrong = [name for name, value in asked.items() if not _fits(value, getattr(owners[name], name))]
        if wrong:
            return _reply(400, {"message": f"of another type than now: {', '.join(wrong)}"})
        for name, value in asked.items():
            setattr(owners[name], name, value)
        return self._show_switches({})

    def _ping(self, _asked: dict[str, object]) -> Reply:
        for hook in self._deliveries.hooks():
            self._deliveries.enqueue(ping(hook, self._bare, self._deliveries.full_name))
        return _reply(202, {})

    def _redeliver(self, asked: dict[str, object]) -> Reply:
        found = next((item for item in self._items() if item["guid"] == asked.get("guid")), None)
        if found is None:
            return _reply(404, {"message": "no delivery has this guid"})
        hook_id, delivery_id = int(str(found["hook_id"])), int(str(found["id"]))
        self._deliveries.redeliver(hook_id, delivery_id)
        return _reply(202, {})

    def _show_deliveries(self, _asked: dict[str, object]) -> Reply:
        return _reply(200, self._items())

    def _items(self) -> list[dict[str, object]]:
        """The newest deliveries of each hook, newest first."""
        found = [
            {**item, "hook_id": hook["id"]}
            for hook in self._deliveries.hooks()
            for item in self._deliveries.deliveries(int(str(hook["id"])), per_page=100)[0]
        ]
        return sorted(found, key=lambda item: int(str(item["id"])), reverse=True)


def _fits(value: object, current: object) -> bool:
    if isinstance(current, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return current is None or type(value) is type(current)


def _reply(status: int, body: object) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(body, indent=1).encode() + b"\n")
