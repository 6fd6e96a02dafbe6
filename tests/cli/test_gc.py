"""`gc` on the command line: a dry run unless told otherwise, and an exit status that scripts can go by."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from shared.adapters.sqlite_store import SqliteStore
from shared.cli.__main__ import main
from shared.cli.exits import Exit
from shared.core.names import CURRENT
from tests.fakes.world import ANCHOR, World
from tests.service.aged import FIRST_KEPT, GARBAGE, LAST, live_through, objects_of

if TYPE_CHECKING:
    from pathlib import Path

AGE = timedelta(days=40)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A store whose objects are all 40 days old, named in the settings; the command reads the real clock."""
    path = tmp_path / "store.db"
    world = World(store=SqliteStore(path))
    world.clock.moment = datetime.now(UTC) - AGE
    live_through(world)
    with closing(sqlite3.connect(path)) as database, database:
        then = (datetime.now(UTC) - AGE).isoformat()
        database.execute("UPDATE objects SET updated_at = ? WHERE name LIKE 'objects/%'", (then,))
    monkeypatch.setenv("STORE_URI", f"sqlite://{path}")
    monkeypatch.setenv("TRUST_ANCHOR", ANCHOR)
    return world


def listed(world: World) -> list[str]:
    return [entry.name for entry in world.store.list("")]


def test_without_delete_it_only_counts(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    before = listed(world)
    assert main(["gc"]) == 0
    printed = capsys.readouterr().out
    assert f"{GARBAGE} garbage (" in printed
    assert "nothing was deleted: gc --delete" in printed
    assert listed(world) == before


def test_with_delete_the_garbage_goes_and_the_next_run_finds_none(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    before = listed(world)
    assert main(["gc", "--delete"]) == 0
    assert f"deleted {GARBAGE}, skipped 0" in capsys.readouterr().out
    assert len(listed(world)) == len(before) - GARBAGE
    assert all(objects_of(world, f"1-{seq}") for seq in range(FIRST_KEPT, LAST + 1))
    assert main(["gc", "--delete"]) == 0
    assert "0 garbage (0 bytes)" in capsys.readouterr().out


def test_json_tells_all_counts(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gc", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["listed"] == sum(name.startswith("objects/") for name in listed(world))
    assert (told["garbage"], told["left"], told["deleted"], told["dry_run"]) == (GARBAGE, GARBAGE, 0, True)
    assert set(told) == {
        *("listed", "kept", "young", "garbage", "garbage_bytes", "deleted", "skipped", "left", "dry_run")
    }


@pytest.mark.usefixtures("world")
def test_what_one_run_leaves_is_told_by_the_exit_status() -> None:
    assert main(["gc", "--delete", "--most", f"{GARBAGE - 1}"]) == Exit.BUSY
    assert main(["gc", "--delete"]) == 0


def test_a_store_that_cannot_be_believed_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    stored = world.store.get(CURRENT)
    assert stored is not None
    world.store.put(CURRENT, b"{}", if_generation=stored.generation)
    before = listed(world)
    assert main(["gc", "--delete"]) == 1
    assert "error: " in capsys.readouterr().err
    assert listed(world) == before


@pytest.mark.parametrize(("name", "value"), [("STORE_URI", ""), ("TRUST_ANCHOR", ""), ("TRUST_ANCHOR", "{}")])
def test_settings_that_are_missing_or_wrong_are_named(
    world: World, name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["gc"]) == Exit.CONFIG
    assert name in capsys.readouterr().err
    assert world.pointer.seq == LAST


def test_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["gc", "--help"])
    assert "exit status: 0 " in capsys.readouterr().out
