"""Which pointers the puller follows, what it does in doubt (nothing), and what it reports."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.adapters.signer import Ed25519Signer, new_seed
from shared.core.archive import pack
from shared.core.canonical import digest_of
from shared.core.git_objects import blob_id
from shared.core.manifest import manifest_bytes
from shared.core.names import CURRENT, object_name
from shared.core.pointer import sign_pointer
from shared.model import Digest, ManifestRef, SkillFile
from shared.puller.follow import Result
from tests.fakes.release_transport import answer, refusal
from tests.fakes.world import SIGNER, World, skill
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shared.model import Pointer


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    """A volume that follows deployment 1-2; 1-3 is what tests then tamper with."""
    built = Edge(tmp_path)
    built.world.deploy(skill("a", "One."))
    built.look()
    built.world.deploy(skill("a", "Two."))
    built.look()
    built.function.reports.clear()
    return built


def offer(edge: Edge, envelope: bytes) -> None:
    stored = edge.world.store.get(CURRENT)
    assert stored is not None
    edge.world.store.put(CURRENT, envelope, if_generation=stored.generation)


def signed(**changes: object) -> Callable[[Pointer], bytes]:
    """A pointer of ours with some fields changed."""
    return lambda pointer: sign_pointer(replace(pointer, **changes), SIGNER)  # type: ignore[arg-type]


def by_a_stranger(pointer: Pointer) -> bytes:
    return sign_pointer(pointer, Ed25519Signer(new_seed()))


def altered(pointer: Pointer) -> bytes:
    return sign_pointer(pointer, SIGNER).replace(b'"payload":"ey', b'"payload":"eX')


OTHER = Digest("f" * 64)


@pytest.mark.parametrize(
    ("forge", "code"),
    [
        (by_a_stranger, "pointer_unverifiable"),
        (altered, "pointer_unverifiable"),
        (lambda _: b"{}", "pointer_unverifiable"),
        (lambda _: b"", "pointer_unverifiable"),
        (signed(channel="staging"), "wrong_channel"),
        (signed(repo="octo/other"), "wrong_channel"),
        (signed(ref="refs/heads/other"), "wrong_channel"),
        (signed(epoch=2), "monotonic_violation"),
        (signed(seq=2), "mismatch_detected"),
        (signed(history=((1, OTHER), (2, OTHER))), "monotonic_violation"),
        (signed(history=((1, OTHER),)), "monotonic_violation"),
        (signed(expires_at="2020-01-01T00:00:00.000Z"), "pointer_expired"),
        (signed(issued_at="2030-01-01T00:00:00.000Z", expires_at="2031-01-01T00:00:00.000Z"), "clock_skew"),
    ],
)
def test_a_pointer_that_may_not_be_followed_changes_nothing_and_is_reported_once(
    edge: Edge, forge: Callable[[Pointer], bytes], code: str
) -> None:
    edge.world.deploy(skill("a", "Three."))
    edge.look()
    edge.function.reports.clear()
    edge.world.deploy(skill("a", "Four."))
    before = edge.files()
    offer(edge, forge(edge.world.pointer))
    assert [edge.look(), edge.look(), edge.look()] == [Result.REFUSED] * 3
    assert edge.files() == before
    assert edge.reports() == [("refused", "1-3", [code])]
    edge.restart()
    assert edge.look() is Result.REFUSED
    assert edge.files() == before


def test_an_older_deployment_is_refused_even_after_a_restart(edge: Edge) -> None:
    first = edge.world.store.get("deployments/1-1.json")
    assert first is not None
    offer(edge, first.data)
    edge.restart()
    assert edge.look() is Result.REFUSED
    assert edge.reports() == [("refused", "1-2", ["mismatch_detected"])]
    assert edge.files()["a.md"] == skill("a", "Two.")["a/SKILL.md"]


def test_an_older_refresh_of_the_same_deployment_is_ignored(edge: Edge) -> None:
    older = edge.world.store.get(CURRENT)
    assert older is not None
    edge.world.clock.move(400)
    edge.world.poll()
    edge.look()
    offer(edge, older.data)
    assert edge.look() is Result.CURRENT
    edge.restart()
    assert edge.look() is Result.CURRENT
    assert not [item for item in edge.reports() if item[0] == "refused"]


def test_a_refresh_raises_the_floor_and_touches_no_file(edge: Edge) -> None:
    before = (edge.skills / ".reload").stat().st_mtime_ns
    edge.world.clock.move(400)
    edge.world.poll()
    assert edge.look() is Result.CURRENT
    assert (edge.skills / ".reload").stat().st_mtime_ns == before


def test_a_puller_that_was_away_for_longer_than_the_history_asks_for_its_own_record(edge: Edge) -> None:
    for number in range(20):
        edge.world.deploy(skill("a", f"Text {number}."))
    edge.function.served.clear()
    assert edge.look() is Result.INSTALLED
    assert "GET /v1/deployments/1-2" in edge.function.served
    assert edge.files() == edge.wanted()


def test_a_record_that_tells_another_history_is_refused(edge: Edge) -> None:
    for number in range(20):
        edge.world.deploy(skill("a", f"Text {number}."))
    stored = edge.world.store.get("deployments/1-2.json")
    assert stored is not None
    forged = sign_pointer(replace(edge.world.pointer, seq=2, history=()), SIGNER)
    edge.world.store.put("deployments/1-2.json", forged, if_generation=stored.generation)
    assert edge.look() is Result.REFUSED
    assert edge.reports()[-1][2] == ["monotonic_violation"]


def publish(edge: Edge, archive: bytes, *, size: int | None = None) -> None:
    """Make this archive live under skill a's entry, properly signed, as a broken publisher would."""
    world = edge.world
    world.deploy(skill("a", "Three."))
    manifest, pointer = world.manifest, world.pointer
    entry = replace(
        manifest.skills[next(iter(manifest.skills))], archive=digest_of(archive), archive_size=size or len(archive)
    )
    data = manifest_bytes(replace(manifest, skills={entry.id: entry}))
    for item in (archive, data):
        world.store.put(object_name(digest_of(item)), item, if_generation=0)
    reference = ManifestRef(sha256=digest_of(data), size=len(data), skills=1)
    offer(edge, sign_pointer(replace(pointer, seq=pointer.seq, manifest=reference), SIGNER))


def other_archive() -> bytes:
    data = b"---\nname: a\ndescription: evil\n---\n"
    return pack([SkillFile(path="SKILL.md", executable=False, blob=blob_id(data), data=data)])


def test_an_archive_that_holds_other_files_than_the_manifest_names_changes_nothing(edge: Edge) -> None:
    before = edge.files()
    publish(edge, other_archive())
    assert edge.look() is Result.REFUSED
    assert edge.files() == before
    assert edge.reports()[-1][2] == ["bundle_rejected"]


def test_an_archive_that_is_none_changes_nothing(edge: Edge) -> None:
    before = edge.files()
    publish(edge, b"no archive at all")
    assert edge.look() is Result.REFUSED
    assert edge.files() == before


@pytest.mark.parametrize("which", ["manifest", "archive"])
@pytest.mark.parametrize(
    "tamper", [lambda data: data[:-1], lambda data: data + b"x", lambda data: bytes([data[0] ^ 1]) + data[1:]]
)
def test_an_object_of_another_size_or_content_changes_nothing_until_it_is_right(
    edge: Edge, which: str, tamper: Callable[[bytes], bytes]
) -> None:
    before = edge.files()
    edge.world.deploy(skill("a", "Three."))
    digest = edge.world.pointer.manifest.sha256
    target = (
        digest if which == "manifest" else edge.world.manifest.skills[next(iter(edge.world.manifest.skills))].archive
    )

    def fault(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != f"/v1/objects/{target}":
            return None
        stored = edge.world.store.get(object_name(target))
        assert stored is not None
        return answer(200, tamper(stored.data))

    edge.function.fault = fault
    assert edge.look() in {Result.REFUSED, Result.UNREACHABLE}
    assert edge.files() == before
    edge.function.fault = lambda _: None
    assert edge.look() is Result.INSTALLED
    assert edge.files() == edge.wanted()


def _raise(error: Exception) -> httpx.Response:
    raise error


@pytest.mark.parametrize(
    "fault",
    [
        lambda _: _raise(httpx.ConnectError("refused")),
        lambda _: _raise(httpx.ReadTimeout("slow")),
        lambda _: refusal(503, "STORE_UNAVAILABLE"),
        lambda _: refusal(500, "INTERNAL"),
        lambda _: refusal(401, "PULLER_KEY_INVALID"),
        lambda _: answer(302, b"", {"Location": "http://elsewhere.test/"}),
        lambda _: answer(404, b"<html>"),
    ],
)
def test_while_the_release_function_gives_nothing_what_is_installed_stays(
    edge: Edge, fault: Callable[[httpx.Request], httpx.Response]
) -> None:
    before = edge.files()
    edge.world.deploy(skill("a", "Three."))
    edge.function.fault = fault
    assert edge.look() is Result.UNREACHABLE
    assert edge.files() == before
    edge.function.fault = lambda _: None
    assert edge.look() is Result.INSTALLED


def test_an_install_is_reported_once_and_then_every_minute(edge: Edge) -> None:
    edge.world.deploy(skill("a", "Three."))
    edge.look()
    for _ in range(5):
        edge.look()
    assert edge.reports() == [("installed", "1-3", [])]
    edge.world.clock.move(61)
    edge.look()
    assert edge.reports()[1:] == [("current", "1-3", [])]


def test_a_report_that_fails_is_sent_again_at_the_next_look(edge: Edge) -> None:
    edge.world.deploy(skill("a", "Three."))
    edge.function.fault = lambda request: refusal(503, "X") if request.url.path == "/v1/report" else None
    assert edge.look() is Result.INSTALLED
    edge.function.fault = lambda _: None
    edge.look()
    assert [item[1] for item in edge.reports()] == ["1-3"]


def test_the_floor_in_a_report_is_believed_by_the_functions(edge: Edge) -> None:
    edge.world.deploy(skill("a", "Three."))
    edge.look()
    stored = edge.world.store.get("pullers/edge.json")
    assert stored is not None
    assert b'"deployment":"1-3","envelope"' in stored.data


def test_a_damaged_state_is_kept_aside_and_files_that_equal_the_manifest_are_adopted(edge: Edge) -> None:
    own = edge.folder / ".skill-sync"
    for damage in (b"", b"{", b"\0" * 100, b'{"schema":"skill-sync/puller-state/1"}', b'{"schema":"other"}'):
        (own / "state.json").write_bytes(damage)
        edge.world.clock.move(1)
        edge.restart()
        assert edge.look() is Result.INSTALLED
        assert edge.files() == edge.wanted()
    assert len(list(own.glob("state.damaged-*.json"))) == 5
    edge.world.deploy(skill("b"))
    edge.look()
    assert edge.files() == edge.wanted()
    assert not edge.backups.exists()


def test_a_state_cannot_make_the_puller_touch_what_no_manifest_could_have_put_there(edge: Edge) -> None:
    own = edge.folder / ".skill-sync" / "state.json"
    (edge.folder / "precious").write_text("keep")
    (edge.skills / "notes.txt").write_text("keep")
    text = own.read_text().replace('"a.md":', '"../precious":"x","notes.txt":"x","a.md":')
    own.write_text(text)
    edge.restart()
    edge.world.deploy(skill("b"))
    edge.look()
    assert (edge.folder / "precious").read_text() == (edge.skills / "notes.txt").read_text() == "keep"


def test_a_volume_that_refuses_is_asked_less_and_less_often(edge: Edge) -> None:
    edge.world.deploy(skill("a", "Three."))
    (edge.folder / ".skill-sync").rename(edge.folder / "away")
    pauses = []
    for _ in range(8):
        assert edge.look() is Result.FAILED
        pauses.append(edge.follower.pause_seconds(2.0))
    assert pauses == sorted(pauses)
    assert pauses[-1] == 30.0
    (edge.folder / "away").rename(edge.folder / ".skill-sync")
    assert edge.look() is Result.INSTALLED
    assert edge.follower.pause_seconds(2.0) == 2.0


def test_the_puller_ends_at_the_pointer_of_another_world(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.world.deploy(skill("a"))
    edge.look()
    other = World()
    other.deploy(skill("b"))
    other.deploy(skill("c"))
    edge.world.store, edge.function.world = other.store, other
    assert edge.look() is Result.REFUSED
    assert set(edge.files()) == {"a/SKILL.md", "a.md"}


def test_the_line_of_an_install_names_the_sync_that_deployed_it(edge: Edge, capsys: pytest.CaptureFixture[str]) -> None:
    edge.world.deploy(skill("a", "Three."))
    capsys.readouterr()
    edge.look()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["message"], line["sync"]) for line in lines] == [("Installed deployment", edge.world.pointer.token)]
