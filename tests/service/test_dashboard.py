"""The dashboard's facts cost a bounded number of reads, and what cannot be read leaves the rest as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.core.health import unreadable
from shared.core.names import CURRENT, SUMMARY, object_name
from shared.core.shelf import key_of
from shared.core.summary import brief, parse_summary, summary_bytes
from shared.errors import NotFoundError
from shared.model import SkillId
from shared.service.dashboard import HISTORY_PAGE, Desk, Wanted, board, dark, withheld_by
from shared.service.health import Watched, glance
from tests.fakes.world import World, bad_skill, skill

if TYPE_CHECKING:
    from shared.ports import Store, StoredObject
    from shared.service.dashboard import Board


class Counting:
    """A store that writes down what is read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read: list[str] = []

    def get(self, name: str) -> StoredObject | None:
        self.read.append(name.partition("/")[0])
        return self._store.get(name)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def a_world(deployments: int = 3) -> World:
    world = World()
    for number in range(deployments):
        world.deploy(skill("a", f"Text {number}."), bad_skill("bad"))
    return world


def shown(world: World, wanted: Wanted | None = None, store: Store | None = None) -> Board:
    watched = Watched(webhook_configured=True, poll_seconds=300.0, pullers=("edge",))
    used, now = store or world.store, world.clock.now()
    desk = Desk(store=used, trust=world.trust, together=world.together, watched=watched)
    return board(desk, glance(used, world.trust, world.together, now, watched.pullers), wanted or Wanted(), now)


def test_the_first_page_is_four_reads() -> None:
    world = a_world()
    store = Counting(world.store)
    found = shown(world, store=store)  # type: ignore[arg-type]
    assert sorted(store.read) == [CURRENT, "objects", "pullers", SUMMARY]
    assert [line["id"] for line in found.lines] == ["1-3", "1-2", "1-1"]
    assert found.older is None


def test_an_older_page_reads_no_more_records_than_it_shows() -> None:
    world = a_world(5)
    store = Counting(world.store)
    found = shown(world, Wanted(before="1-3"), store=store)  # type: ignore[arg-type]
    assert store.read.count("deployments") == 2
    assert [line["id"] for line in found.lines] == ["1-2", "1-1"]


def test_the_first_page_tells_where_older_deployments_begin() -> None:
    world = a_world(HISTORY_PAGE + 2)
    found = shown(world)
    assert (len(found.lines), found.older) == (HISTORY_PAGE, "1-3")
    assert [line["id"] for line in shown(world, Wanted(before="1-3")).lines] == ["1-2", "1-1"]


def test_a_deployment_that_the_summary_lacks_after_a_crash_is_told_by_the_pointer() -> None:
    world = a_world(1)
    old = world.store.get(SUMMARY)
    assert old is not None
    world.deploy(skill("a", "Newer."))
    new = world.store.get(SUMMARY)
    assert new is not None
    world.store.put(SUMMARY, summary_bytes(parse_summary(old.data)), if_generation=new.generation)
    newest, former = shown(world).lines
    assert (newest, former["id"]) == (brief(world.pointer), "1-1")


def test_a_pointer_that_was_taken_back_does_not_stand_above_what_came_after_it() -> None:
    world = a_world(3)
    old, new = world.store.get("deployments/1-1.json"), world.store.get(CURRENT)
    assert old is not None
    assert new is not None
    world.store.put(CURRENT, old.data, if_generation=new.generation)
    found = shown(world)
    assert [line["id"] for line in found.lines] == ["1-3", "1-2", "1-1"]
    assert found.pointer is not None
    assert found.pointer.deployment == "1-1"


def test_a_manifest_that_is_lost_is_named_by_its_code_and_all_else_stays() -> None:
    world = a_world()
    name = object_name(world.pointer.manifest.sha256)
    stored = world.store.get(name)
    assert stored is not None
    world.store.delete(name, if_generation=stored.generation)
    found = shown(world)
    assert (found.shelf, found.shelf_trouble) == (None, "OBJECT_MISSING")
    assert len(found.lines) == 3


def test_before_the_first_deployment_there_is_nothing_but_health() -> None:
    found = shown(World())
    assert (found.pointer, found.shelf, list(found.lines), found.shelf_trouble) == (None, None, [], "")


def test_what_to_do_next_is_what_the_state_asks_for() -> None:
    world = a_world()
    assert shown(world).next_action == "none"
    world.trouble = "trust_invalid"
    watched = Watched(webhook_configured=True, poll_seconds=300.0)
    now = world.clock.now()
    desk = Desk(store=world.store, trust=world.trust, together=world.together, watched=watched, trouble="trust_invalid")
    found = board(desk, glance(world.store, world.trust, world.together, now, ()), Wanted(), now)
    assert "newest file in trust/" in found.next_action


def test_the_dark_page_has_health_and_thirty_days_without_a_value() -> None:
    world = World()
    told = unreadable("STORE_UNAVAILABLE", world.clock.now(), webhook_configured=True)
    found = dark(told, world.clock.now())
    assert found.health is told
    assert {value for days in found.days.values() for _, value in days} == {None}


def test_a_form_s_keys_lead_back_to_what_is_withheld_as_it_was_shown() -> None:
    world = a_world()
    item = world.manifest.withheld[SkillId("bad")]
    assert withheld_by(world.store, world.trust, [key_of(item)] * 2) == [item]


@pytest.mark.parametrize("keys", [[], ["x"], ["0" * 32]])
def test_keys_of_nothing_are_refused(keys: list[str]) -> None:
    world = a_world()
    with pytest.raises(NotFoundError) as caught:
        withheld_by(world.store, world.trust, keys)
    assert caught.value.code == "NOT_WITHHELD"


def test_a_key_is_of_no_use_once_another_version_is_withheld() -> None:
    world = a_world()
    key = key_of(world.manifest.withheld[SkillId("bad")])
    world.deploy(skill("a"), {"bad/SKILL.md": b"something else\n"})
    with pytest.raises(NotFoundError):
        withheld_by(world.store, world.trust, [key])
