"""What can be done to a volume, and the one state and reason that each of it ends in; what is installed always stays."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from shared.core.archive import pack
from shared.core.canonical import canonical_bytes, digest_of
from shared.core.envelope import MAX_ENVELOPE_BYTES, sign_envelope
from shared.core.git_objects import blob_id
from shared.core.manifest import manifest_bytes
from shared.core.names import CURRENT, object_name, record_name, trust_name
from shared.core.pointer import PAYLOAD_TYPE, sign_pointer
from shared.core.trust import sign_trust
from shared.model import Digest, ManifestRef, SkillFile
from tests.fakes.release_transport import answer, refusal
from tests.fakes.trusted import OPERATOR, a_signer, following
from tests.fakes.world import SIGNER, TRUST, skill
from tests.puller.edge import Edge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shared.adapters.signer import Ed25519Signer
    from shared.model import Pointer

STRANGER, SECOND, OTHER_OPERATOR = a_signer(9), a_signer(10), a_signer(201)
OTHER = Digest("f" * 64)
READY, DEGRADED, PAUSED = "READY", "DEGRADED", "PAUSED"
BOTH_SIGNERS = {SIGNER.key_id: SIGNER.public_key, SECOND.key_id: SECOND.public_key}


def overwrite(edge: Edge, name: str, data: bytes) -> None:
    stored = edge.world.store.get(name)
    edge.world.store.put(name, data, if_generation=0 if stored is None else stored.generation)


def offer(edge: Edge, envelope: bytes) -> None:
    overwrite(edge, CURRENT, envelope)
    edge.look()


def live(edge: Edge) -> bytes:
    stored = edge.world.store.get(CURRENT)
    assert stored is not None
    return stored.data


@dataclass(frozen=True)
class Row:
    """One thing that is done. `state` with `reasons` is what it ends in; `text` is what the volume then serves."""

    name: str
    act: Callable[[Edge], object] = field(repr=False)
    state: str
    reasons: tuple[str, ...] = ()
    text: str = "Three."


ROWS: list[Row] = []


def row(state: str, *reasons: str, text: str = "Three.") -> Callable[[Callable[[Edge], object]], object]:
    """Add a function to the table; its name is the row's."""

    def add(act: Callable[[Edge], object]) -> object:
        ROWS.append(Row(act.__name__.replace("_", " "), act, state, reasons, text))
        return act

    return add


def rows_of(state: str, reason: str, cases: dict[str, Callable[[Pointer], bytes]]) -> None:
    """Add a row for each envelope that is offered in place of the live one, which names deployment 1-3."""
    for name, forge in cases.items():
        ROWS.append(Row(name, lambda edge, forge=forge: offer(edge, forge(edge.world.pointer)), state, (reason,)))


def changed(**changes: object) -> Callable[[Pointer], bytes]:
    return lambda pointer: sign_pointer(replace(pointer, **changes), SIGNER)  # type: ignore[arg-type]


def enveloped(change: Callable[[dict], object]) -> Callable[[Pointer], bytes]:
    """A genuine envelope with something about it changed."""

    def forge(pointer: Pointer) -> bytes:
        document = json.loads(sign_pointer(pointer, SIGNER))
        change(document)
        return canonical_bytes(document)

    return forge


def saying(**members: object) -> Callable[[Pointer], bytes]:
    """A payload of our own signer's with members that no pointer has."""

    def forge(pointer: Pointer) -> bytes:
        payload = json.loads(base64.b64decode(json.loads(sign_pointer(pointer, SIGNER))["payload"]))
        return sign_envelope(canonical_bytes(payload | members), PAYLOAD_TYPE, SIGNER)

    return forge


def raw(payload: bytes) -> Callable[[Pointer], bytes]:
    return lambda _: sign_envelope(payload, PAYLOAD_TYPE, SIGNER)


def by_a_stranger_under_our_name(pointer: Pointer) -> bytes:
    document = json.loads(sign_pointer(pointer, STRANGER))
    document["signatures"][0]["keyid"] = SIGNER.key_id
    return canonical_bytes(document)


def behind_eight_others(document: dict) -> None:
    document["signatures"] = [{"keyid": STRANGER.key_id, "sig": ""}] * 8 + document["signatures"]


rows_of(
    DEGRADED,
    "pointer_unverifiable",
    {
        "an altered payload": lambda pointer: sign_pointer(pointer, SIGNER).replace(b'"payload":"ey', b'"payload":"eX'),
        "an altered signature": enveloped(lambda it: it["signatures"][0].update(sig="A" * 86 + "==")),
        "no signature": enveloped(lambda it: it.update(signatures=[])),
        "signatures that are no list": enveloped(lambda it: it.update(signatures={})),
        "a signature behind eight others": enveloped(behind_eight_others),
        "another signer": lambda pointer: sign_pointer(pointer, STRANGER),
        "another signer under our signer's name": by_a_stranger_under_our_name,
        "a payload that is no base64": enveloped(lambda it: it.update(payload="*")),
        "another payload type": enveloped(lambda it: it.update(payloadType="application/json")),
        "a trust in place of the pointer": lambda _: sign_trust(TRUST, SIGNER),
        "nothing": lambda _: b"",
        "no JSON": lambda _: b"{",
        "an array": lambda _: b"[]",
        "nine thousand brackets": lambda _: b"[" * 9000,
        "more than 16 KiB": lambda _: b" " * (MAX_ENVELOPE_BYTES + 1),
        "a key twice in the envelope": lambda pointer: sign_pointer(pointer, SIGNER)[:-1] + b',"payload":""}',
        "a key twice in the payload": raw(b'{"schema":"skill-sync/pointer/1","epoch":1,"epoch":2}'),
        "a payload nested deep": raw(b'{"schema":"skill-sync/pointer/1","a":' + b"[" * 70 + b"]" * 70 + b"}"),
        "a payload with NaN": raw(b'{"schema":"skill-sync/pointer/1","epoch":NaN}'),
        "a payload that is no object": raw(b"[]"),
        "an action that nobody knows": saying(action="seize"),
        "a sequence of nothing": saying(seq=0),
        "a sequence that is a truth value": saying(seq=True),
        "an epoch below all": saying(epoch=-1),
        "a history of rubbish": saying(history=[[1, "x"]]),
        "a time that is none": saying(issued_at="now"),
        "a predecessor that is none": saying(previous="first"),
    },
)
rows_of(
    PAUSED,
    "wrong_channel",
    {
        "another schema": saying(schema="skill-sync/pointer/2"),
        "another channel": changed(channel="staging"),
        "another repository": changed(repo="octo/other"),
        "another branch": changed(ref="refs/heads/other"),
    },
)
rows_of(
    PAUSED,
    "mismatch_detected",
    {"a pointer replayed": changed(seq=2, history=((1, OTHER),)), "the first one replayed": changed(seq=1, history=())},
)
rows_of(
    PAUSED,
    "monotonic_violation",
    {
        "an epoch that the service raised itself": changed(epoch=2),
        "the same sequence with another manifest": changed(manifest=ManifestRef(sha256=OTHER, size=1, skills=1)),
        "another history for what was accepted": changed(seq=4, history=((2, OTHER), (3, OTHER))),
        "a history that skips what was accepted": changed(seq=5, history=((2, OTHER), (4, OTHER))),
    },
)
rows_of(DEGRADED, "pointer_expired", {"expired": changed(expires_at="2020-01-01T00:00:00.000Z")})
rows_of(
    DEGRADED,
    "clock_skew",
    {"issued in the future": changed(issued_at="2030-01-01T00:00:00.000Z", expires_at="2031-01-01T00:00:00.000Z")},
)


# Fast forward, with a record


def forward(edge: Edge, record: bytes | None) -> None:
    name = record_name(edge.world.pointer.deployment)
    stored = edge.world.store.get(name)
    assert stored is not None
    edge.world.store.delete(name, if_generation=stored.generation)
    if record is not None:
        overwrite(edge, name, record)
    offer(edge, changed(seq=1000, history=((999, OTHER),))(edge.world.pointer))


@row(PAUSED, "monotonic_violation")
def fast_forward_with_a_record_of_another_manifest(edge: Edge) -> None:
    forward(edge, changed(manifest=ManifestRef(sha256=OTHER, size=1, skills=1))(edge.world.pointer))


@row(DEGRADED, "history_unproven")
def fast_forward_with_a_record_of_a_stranger(edge: Edge) -> None:
    forward(edge, sign_pointer(edge.world.pointer, STRANGER))


@row(DEGRADED, "history_unproven")
def fast_forward_without_a_record(edge: Edge) -> None:
    forward(edge, None)


@row(DEGRADED, "history_unproven")
def fast_forward_with_the_record_of_another_deployment(edge: Edge) -> None:
    forward(edge, changed(seq=2, history=())(edge.world.pointer))


@row(DEGRADED, "history_unproven")
def fast_forward_with_a_record_that_a_revoked_signer_made_up(edge: Edge) -> None:
    forged = [
        changed(epoch=99),
        changed(channel="staging"),
        changed(manifest=ManifestRef(sha256=OTHER, size=1, skills=1)),
    ]
    records = [forge(edge.world.pointer) for forge in forged]
    name = record_name(edge.world.pointer.deployment)
    edge.world.operate(signer_keys=BOTH_SIGNERS)
    edge.world.look_at_trust()
    edge.world.signer = SECOND
    for number in range(20):
        edge.world.deploy(skill("a", f"Number {number}."))
    edge.world.operate(signer_keys={SECOND.key_id: SECOND.public_key})
    edge.world.look_at_trust()
    for record in records:
        overwrite(edge, name, record)
        edge.look()
        assert edge.follower.standing.reasons == ("history_unproven",)


# Time


@row(READY)
def an_older_refresh_of_the_same_deployment(edge: Edge) -> None:
    older = live(edge)
    edge.world.clock.move(200)
    edge.world.poll()
    edge.look()
    offer(edge, older)


@row(READY, text="Four.")
def two_instances_whose_clocks_are_a_second_apart(edge: Edge) -> None:
    edge.world.clock.move(-1)
    edge.world.deploy(skill("a", "Four."))
    edge.look()


@row(READY, text="Four.")
def a_volume_whose_clock_is_four_minutes_slow(edge: Edge) -> None:
    edge.world.clock.move(240)
    edge.world.deploy(skill("a", "Four."))
    edge.world.clock.move(-240)
    edge.look()


@row(DEGRADED, "pointer_expired")
def nobody_polls_for_an_hour(edge: Edge) -> None:
    edge.world.clock.move(3600)
    edge.look()


@row(READY)
def nobody_polled_for_an_hour_and_then_somebody_does(edge: Edge) -> None:
    nobody_polls_for_an_hour(edge)
    edge.world.poll()
    edge.look()


# Absence


def a_hundred_deployments(edge: Edge) -> None:
    for number in range(100):
        edge.world.deploy(skill("a", f"Number {number}."))
    edge.look()


ROWS.append(Row("absent for a hundred deployments", a_hundred_deployments, READY, (), "Number 99."))


@row(READY, text="Number 99.")
def absent_for_a_hundred_deployments_and_two_rotations_of_the_signer(edge: Edge) -> None:
    edge.world.operate(signer_keys=BOTH_SIGNERS)
    edge.world.poll()
    edge.world.signer = SECOND
    edge.world.operate(signer_keys={SECOND.key_id: SECOND.public_key})
    a_hundred_deployments(edge)


@row(DEGRADED, "NO_DEPLOYMENT")
def a_store_that_was_emptied(edge: Edge) -> None:
    stored = edge.world.store.get(CURRENT)
    assert stored is not None
    edge.world.store.delete(CURRENT, if_generation=stored.generation)
    edge.look()


# Trust


def trust_2(envelope: bytes) -> Callable[[Edge], None]:
    """Lay that as version 2 and let the puller hear of it."""

    def act(edge: Edge) -> None:
        edge.world.store.put(trust_name(2), envelope, if_generation=0)
        edge.world.trust = replace(edge.world.trust, version=2)  # announced
        edge.look()

    return act


def version_2(*operators: Ed25519Signer, **changes: object) -> bytes:
    return sign_trust(replace(following(TRUST), **changes), *(operators or (OPERATOR,)))


NEW_KEYS = {OTHER_OPERATOR.key_id: OTHER_OPERATOR.public_key}
for _name, _envelope in {
    "a trust half written": version_2()[:200],
    "a trust of nothing": b"",
    "a trust by a stranger": version_2(STRANGER),
    "a trust by a signer of pointers": version_2(SIGNER),
    "a trust that only the old operator signed": version_2(OPERATOR, operator_keys=NEW_KEYS),
    "a trust that only the new operator signed": version_2(OTHER_OPERATOR, operator_keys=NEW_KEYS),
    "a trust that skips a version": version_2(version=3),
    "the same trust again": version_2(version=1),
    "a trust that skips an epoch": version_2(epoch=3),
    "a trust of another channel": version_2(channel="staging"),
    "a trust of another repository": version_2(repo="octo/other"),
    "a trust of another branch": version_2(ref="refs/heads/other"),
    "a trust that acknowledges its own epoch": version_2(ack=1, incident="x"),
    "a trust that acknowledges without an incident": version_2(epoch=2, ack=1),
    "a trust without a signer": version_2(signer_keys={}),
    "a pointer in place of the trust": sign_envelope(b"{}", PAYLOAD_TYPE, OPERATOR),
    "a trust that is too large": version_2(reason="x" * 20_000),
}.items():
    ROWS.append(Row(_name, trust_2(_envelope), DEGRADED, ("trust_invalid",)))


def operated(edge: Edge, **changes: object) -> None:
    edge.world.operate(**changes)
    edge.world.look_at_trust()
    edge.look()


@row(READY, text="Four.")
def a_signer_is_added_and_signs(edge: Edge) -> None:
    edge.world.operate(signer_keys=BOTH_SIGNERS)
    edge.world.look_at_trust()
    edge.world.signer = SECOND
    edge.world.deploy(skill("a", "Four."))
    edge.look()


@row(READY, text="Four.")
def a_signer_is_added_and_signs_before_the_version_is_announced(edge: Edge) -> None:
    edge.function.announces = False
    a_signer_is_added_and_signs(edge)


@row(DEGRADED, "pointer_unverifiable")
def a_signer_is_revoked_whose_pointer_is_live(edge: Edge) -> None:
    operated(edge, signer_keys={SECOND.key_id: SECOND.public_key})


@row(READY)
def a_signer_is_rotated(edge: Edge) -> None:
    operated(edge, signer_keys=BOTH_SIGNERS)
    edge.world.signer = SECOND
    edge.world.clock.move(200)
    edge.world.poll()
    edge.look()
    operated(edge, signer_keys={SECOND.key_id: SECOND.public_key})
    edge.look()


@row(READY)
def one_failed_request_for_the_trust(edge: Edge) -> None:
    edge.function.announces = False  # a release instance that has not looked at the trust for up to a minute
    edge.world.bump()
    edge.world.poll()  # another instance publishes 2-1
    edge.function.fault = lambda request: refusal(503, "BUSY") if "/v1/trust/" in request.url.path else None
    edge.look()
    assert edge.follower.standing.condition.value == DEGRADED
    edge.function.fault = lambda _: None
    edge.look()


@row(DEGRADED, "trust_expired")
def a_trust_that_has_expired(edge: Edge) -> None:
    operated(edge, expires_at="2026-01-02T00:00:00.000Z")


@row(DEGRADED, "trust_expired", text="Four.")
def an_expired_trust_blocks_nothing(edge: Edge) -> None:
    operated(edge, expires_at="2026-01-02T00:00:00.000Z")
    edge.world.deploy(skill("a", "Four."))
    edge.look()


@row(READY)
def forty_versions_at_once(edge: Edge) -> None:
    for _ in range(40):
        edge.world.operate()
    edge.world.look_at_trust()
    edge.world.look_at_trust()
    edge.look()
    assert edge.trust.newest.version == 33
    edge.look()
    assert edge.trust.newest.version == 41


@row(READY)
def a_version_of_the_trust_that_rots_on_the_volume(edge: Edge) -> None:
    operated(edge)
    operated(edge)
    (edge.folder / ".skill-sync" / "trust" / "2.json").write_bytes(b"rotten")
    edge.restart()
    assert edge.trust.newest.version == 1
    edge.look()
    assert edge.trust.newest.version == 3


# Epochs


@row(PAUSED, "epoch_pending_republish")
def an_epoch_that_is_not_published_yet(edge: Edge) -> None:
    operated(edge, epoch=2)


@row(READY)
def an_epoch_that_is_published(edge: Edge) -> None:
    operated(edge, epoch=2)
    edge.world.poll()
    edge.look()
    assert edge.world.pointer.deployment == "2-1"


@row(PAUSED, "mismatch_detected")
def a_mismatch_that_goes_away_by_itself(edge: Edge) -> None:
    good = live(edge)
    offer(edge, changed(seq=2, history=((1, OTHER),))(edge.world.pointer))
    offer(edge, good)


@row(PAUSED, "mismatch_detected")
def a_mismatch_outlives_a_restart(edge: Edge) -> None:
    a_mismatch_that_goes_away_by_itself(edge)
    edge.restart()
    edge.look()


@row(READY)
def a_mismatch_and_a_new_epoch(edge: Edge) -> None:
    a_mismatch_that_goes_away_by_itself(edge)
    an_epoch_that_is_published(edge)


def violated(edge: Edge) -> None:
    good = live(edge)
    offer(edge, changed(manifest=ManifestRef(sha256=OTHER, size=1, skills=1))(edge.world.pointer))
    offer(edge, good)


@row(PAUSED, "monotonic_violation")
def a_violation_and_a_new_epoch_that_does_not_acknowledge_it(edge: Edge) -> None:
    violated(edge)
    an_epoch_that_is_published(edge)


@row(READY)
def a_violation_and_a_new_epoch_that_acknowledges_it(edge: Edge) -> None:
    violated(edge)
    operated(edge, epoch=2, ack=1, incident="INC-7")
    edge.world.poll()
    edge.look()


@row(READY)
def a_violation_that_is_acknowledged_later(edge: Edge) -> None:
    a_violation_and_a_new_epoch_that_does_not_acknowledge_it(edge)
    operated(edge, ack=1, incident="INC-7")
    edge.look()


@row(PAUSED, "mismatch_detected", "monotonic_violation")
def a_mismatch_and_a_violation(edge: Edge) -> None:
    a_mismatch_that_goes_away_by_itself(edge)
    offer(edge, changed(epoch=2)(edge.world.pointer))


# The volume itself


@row(READY)
def a_volume_that_was_taken_back(edge: Edge) -> None:
    state = edge.folder / ".skill-sync" / "state.json"
    old = state.read_bytes()
    edge.world.deploy(skill("a", "Four."))
    edge.look()
    edge.world.deploy(skill("a", "Three."))
    edge.look()
    state.write_bytes(old)
    edge.restart()
    edge.look()


# Bundles


@row(DEGRADED, "bundle_mismatch")
def a_manifest_with_another_content(edge: Edge) -> None:
    edge.world.deploy(skill("a", "Four."))
    reference = edge.world.pointer.manifest
    rubbish = b"x" * reference.size
    edge.function.fault = lambda request: answer(200, rubbish) if request.url.path.endswith(reference.sha256) else None
    edge.look()


@row(PAUSED, "bundle_rejected")
def a_manifest_of_another_repository(edge: Edge) -> None:
    data = manifest_bytes(replace(edge.world.manifest, repo="octo/other"))
    reference = ManifestRef(sha256=digest_of(data), size=len(data), skills=1)
    edge.world.store.put(object_name(reference.sha256), data, if_generation=0)
    pointer = edge.world.pointer
    history = (*pointer.history, (pointer.seq, pointer.manifest.sha256))
    offer(edge, changed(seq=4, history=history, manifest=reference)(pointer))


@row(PAUSED, "bundle_rejected")
def an_archive_with_other_files_than_the_manifest_names(edge: Edge) -> None:
    other = b"---\nname: a\n---\n"
    archive = pack([SkillFile(path="SKILL.md", executable=False, blob=blob_id(other), data=other)])
    entry = edge.world.manifest.skills["a"]
    skills = {"a": replace(entry, archive=digest_of(archive), archive_size=len(archive))}
    # Files that are on the disk already are taken from there: another blob makes the puller fetch the archive.
    skills["a"] = replace(skills["a"], files=tuple(replace(file, blob="1" * 40) for file in entry.files))
    data = manifest_bytes(replace(edge.world.manifest, skills=skills))
    reference = ManifestRef(sha256=digest_of(data), size=len(data), skills=1)
    for content in (data, archive):
        edge.world.store.put(object_name(digest_of(content)), content, if_generation=0)
    pointer = edge.world.pointer
    history = (*pointer.history, (pointer.seq, pointer.manifest.sha256))
    offer(edge, changed(seq=4, history=history, manifest=reference)(pointer))


@row(READY, text="Four.")
def a_rejected_bundle_does_not_stand_in_the_way_of_the_next(edge: Edge) -> None:
    a_manifest_with_another_content(edge)
    edge.world.deploy(skill("a", "Four."), skill("b"))
    edge.look()


LEAST_ROWS = 60


def test_there_are_enough_rows_and_each_has_a_name_of_its_own() -> None:
    assert len(ROWS) >= LEAST_ROWS
    assert len({each.name for each in ROWS}) == len(ROWS)


@pytest.mark.parametrize("case", ROWS, ids=lambda case: case.name)
def test_each_attack_ends_in_one_state_and_what_is_installed_stays(case: Row, tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    for text in ("One.", "Two.", "Three."):
        edge.world.deploy(skill("a", text))
        edge.look()
    case.act(edge)
    standing = edge.follower.standing
    assert (standing.condition.value, standing.reasons) == (case.state, case.reasons)
    assert case.text in (edge.skills / "a" / "SKILL.md").read_text()
    # A restart finds the same: nothing depends on what a process happens to remember.
    edge.restart()
    edge.look()
    standing = edge.follower.standing
    assert (standing.condition.value, standing.reasons) == (case.state, case.reasons)
    assert edge.function.reports[-1]["state"] == case.state
