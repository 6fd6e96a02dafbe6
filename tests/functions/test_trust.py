"""Trust and states over HTTP: what pullers are served, what operators are told, and that a pause refuses every call."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from shared.adapters.clock import SystemClock
from shared.adapters.sqlite_store import SqliteStore
from shared.core.names import trust_name
from shared.core.trust import sign_trust
from shared.core.verify import UnverifiedPointer, read_pointer
from shared.errors import UnavailableError
from tests.fakes.breaking_store import Killed
from tests.fakes.trusted import OPERATOR, a_signer, following
from tests.fakes.world import SIGNER, TRUST, World
from tests.functions.cloud import SEED, skill_text
from tests.service.test_rewinds import Down
from tests.service.test_rewinds_seen_late import DiesBehindThePointer

if TYPE_CHECKING:
    from shared.model import Trust
    from tests.functions.cloud import Cloud

SECOND = a_signer(10)
SECOND_SEED = base64.b64encode(bytes([10]) * 32).decode()
BOTH = {SIGNER.key_id: SIGNER.public_key, SECOND.key_id: SECOND.public_key}


def upload(cloud: Cloud, trust: Trust, **changes: object) -> Trust:
    """The operator's next version."""
    new = following(trust, **changes)
    cloud.store.put(trust_name(new.version), sign_trust(new, OPERATOR), if_generation=0)
    return new


def push(cloud: Cloud, text: str):  # noqa: ANN201 - the framework's answer
    """Change skill a and deliver the webhook."""
    before = cloud.repo.head
    cloud.repo.write("a/SKILL.md", skill_text("a", text, "1.0.0"))
    cloud.repo.commit(text)
    return cloud.webhook(cloud.push(before))


def rewind(cloud: Cloud) -> None:
    """Take the pointer back by one deployment, as a restored bucket does."""
    first = cloud.store.get("current.json")
    assert push(cloud, "Newer.").status_code == 200
    newer = cloud.store.get("current.json")
    assert first is not None
    assert newer is not None
    cloud.store.put("current.json", first.data, if_generation=newer.generation)


@pytest.fixture
def deployed(cloud: Cloud) -> Cloud:
    assert cloud.webhook(cloud.push()).status_code == 200
    return cloud


def test_pullers_are_told_the_newest_version_and_served_each(deployed: Cloud) -> None:
    assert deployed.puller("GET", "/v1/current").headers["X-Trust-Version"] == "1"
    assert deployed.puller("GET", "/v1/trust/2").status_code == 404
    upload(deployed, TRUST)
    deployed.operator("poll", "POST", "/api/poll")
    answer = deployed.puller("GET", "/v1/current")
    assert answer.headers["X-Trust-Version"] == "2"
    known = deployed.puller("GET", "/v1/current", headers={"If-None-Match": answer.headers["ETag"]})
    assert (known.status_code, known.headers["X-Trust-Version"]) == (304, "2")
    served = deployed.puller("GET", "/v1/trust/2")
    assert served.data == deployed.store.get(trust_name(2)).data  # type: ignore[union-attr]
    assert "immutable" in served.headers["Cache-Control"]
    for odd in ("x", "-1", "9999999999", "²"):
        assert deployed.puller("GET", f"/v1/trust/{odd}").status_code == 400
    assert deployed.call("release", "GET", "/v1/trust/2").status_code == 401


def test_states_are_for_operators_only(deployed: Cloud) -> None:
    for name in ("operational-state", "dr-state", "boot-status"):
        assert deployed.call("status", "GET", f"/api/{name}").status_code == 401
        assert deployed.operator("status", "GET", f"/api/{name}").status_code == 200


def test_a_healthy_service_says_so_everywhere(deployed: Cloud) -> None:
    state = deployed.operator("status", "GET", "/api/operational-state").json
    assert (state["state"], state["serving"], state["deploys_allowed"]) == ("READY", "1-1", True)
    told = deployed.operator("status", "GET", "/api/dr-state").json
    assert (told["match_status"], told["next_action"]) == ("match", "none")
    assert told["signer"] == {"key_id": SIGNER.key_id, "public_key": base64.b64encode(SIGNER.public_key).decode()}
    assert deployed.operator("status", "GET", "/api/boot-status").json["ready"] is True


def test_a_store_that_was_taken_back_refuses_every_call_with_409_and_its_reasons(deployed: Cloud) -> None:
    rewind(deployed)
    before = deployed.store.get("current.json")
    answers = [
        push(deployed, "Refused."),
        deployed.operator("poll", "POST", "/api/poll"),
        deployed.operator("sync", "POST", "/api/sync"),
        deployed.operator("sync", "POST", "/api/rollback", {"to": "1-1"}),
    ]
    for answer in answers:
        assert answer.status_code == 409
        assert (answer.json["code"], answer.json["reasons"]) == ("PAUSED", ["mismatch_detected"])
        assert "operator epoch bump" in answer.json["next_action"]
    assert deployed.store.get("current.json") == before
    health = deployed.call("status", "GET", "/health")
    assert (health.status_code, health.json["state"], health.json["status"]) == (503, "PAUSED", "unhealthy")
    # What is live is served on.
    assert deployed.puller("GET", "/v1/current").status_code == 200


def test_a_new_epoch_ends_the_pause_and_goes_on_at_the_head(deployed: Cloud) -> None:
    rewind(deployed)
    assert deployed.operator("poll", "POST", "/api/poll").status_code == 409
    upload(deployed, TRUST, epoch=2)
    assert push(deployed, "After.").status_code == 200  # not even a poll is needed: the refused call looks for it
    state = deployed.operator("status", "GET", "/api/operational-state").json
    assert (state["state"], state["serving"]) == ("READY", "2-2")
    pages = deployed.operator("status", "GET", "/api/deployments").json
    assert [each["id"] for each in pages["deployments"]] == ["2-2", "2-1"]
    older = deployed.operator("status", "GET", f"/api/deployments?before={pages['next']}").json
    assert [each["id"] for each in older["deployments"]] == ["1-2", "1-1"]
    assert older["next"] is None
    assert deployed.operator("status", "GET", "/api/deployments/1-2").json["id"] == "1-2"
    opening = deployed.operator("status", "GET", "/api/deployments/2-1").json
    assert (opening["action"], opening["published"]) == ("recover", [])


def test_a_dry_run_looks_for_a_newer_trust_before_it_speaks_of_a_pause(deployed: Cloud) -> None:
    rewind(deployed)
    refused = deployed.operator("sync", "POST", "/api/sync", {"dry_run": True})
    assert (refused.status_code, (refused.json or {})["reasons"]) == (409, ["mismatch_detected"])
    upload(deployed, TRUST, epoch=2)
    listed = deployed.store.list("")
    found = deployed.operator("sync", "POST", "/api/sync", {"dry_run": True}).json or {}
    assert (found["status"], found["skills"]) == ("would_deploy", [])
    assert deployed.store.list("") == listed
    done = deployed.operator("sync", "POST", "/api/sync").json or {}
    assert (done["deploymentId"].split("-")[0], done["skills"]) == ("2", [])


def test_signers_are_rotated_without_a_pause(deployed: Cloud) -> None:
    both = upload(deployed, TRUST, signer_keys=BOTH)
    assert deployed.operator("poll", "POST", "/api/poll").status_code == 200
    deployed.set("SIGNING_KEY", SECOND_SEED)
    assert push(deployed, "By the second.").status_code == 200
    upload(deployed, both, signer_keys={SECOND.key_id: SECOND.public_key})
    assert deployed.operator("poll", "POST", "/api/poll").status_code == 200
    envelope = UnverifiedPointer(deployed.puller("GET", "/v1/current").data)
    assert read_pointer(envelope, replace(TRUST, signer_keys={SECOND.key_id: SECOND.public_key})).seq == 2
    # What the first signed is still shown, and can be gone back to.
    assert deployed.operator("status", "GET", "/api/deployments/1-1").status_code == 200
    assert deployed.operator("sync", "POST", "/api/rollback", {"to": "1-1"}).status_code == 200
    deployed.set("SIGNING_KEY", SEED)
    answer = push(deployed, "By the first.")
    assert (answer.status_code, answer.json["code"]) == (503, "SIGNING_KEY_UNTRUSTED")
    boot = deployed.operator("status", "GET", "/api/boot-status").json
    assert (boot["first_failed"], boot["gates"][0]["reasons"]) == (0, ["SIGNING_KEY_UNTRUSTED"])


def test_of_two_signing_keys_the_newest_that_the_trust_names_signs(deployed: Cloud) -> None:
    deployed.set("SIGNING_KEY", f"{SECOND_SEED}\n{SEED}")
    assert push(deployed, "By the first still.").status_code == 200
    first_only = replace(TRUST, signer_keys={SIGNER.key_id: SIGNER.public_key})
    assert read_pointer(UnverifiedPointer(deployed.puller("GET", "/v1/current").data), first_only).seq == 2
    both = upload(deployed, TRUST, signer_keys=BOTH)
    assert deployed.operator("poll", "POST", "/api/poll").status_code == 200
    assert push(deployed, "By the second.").status_code == 200
    second_only = replace(both, signer_keys={SECOND.key_id: SECOND.public_key})
    assert read_pointer(UnverifiedPointer(deployed.puller("GET", "/v1/current").data), second_only).seq == 3


def test_an_operator_is_shown_every_signing_key_that_the_functions_hold(deployed: Cloud) -> None:
    deployed.set("SIGNING_KEY", f"{SECOND_SEED}\n{SEED}")
    told = deployed.operator("status", "GET", "/api/dr-state").json
    shown = [
        {"key_id": signer.key_id, "public_key": base64.b64encode(signer.public_key).decode()}
        for signer in (SECOND, SIGNER)
    ]
    assert (told["signer"], told["signers"]) == (shown[0], shown)


CONFIGURATIONS = [
    ("TRUST_ANCHOR", None, "CONFIG_MISSING"),
    ("TRUST_ANCHOR", "{}", "TRUST_ANCHOR_INVALID"),
    ("CHANNEL", "staging", "TRUST_MISMATCH"),
    ("GITHUB_REPO", "other", "TRUST_MISMATCH"),
    ("SIGNING_KEY", None, "CONFIG_MISSING"),
    ("SIGNING_KEY", f"{SEED}\nno seed", "SIGNING_KEY_INVALID"),
    ("SIGNING_KEY", f"{SECOND_SEED}\n{base64.b64encode(bytes([11]) * 32).decode()}", "SIGNING_KEY_UNTRUSTED"),
    ("GITHUB_WEBHOOK_SECRET", None, "CONFIG_MISSING"),
]


@pytest.mark.parametrize(("name", "value", "code"), CONFIGURATIONS)
def test_a_setting_that_is_wrong_fails_the_first_gate(deployed: Cloud, name: str, value: str | None, code: str) -> None:
    deployed.set(name, value)
    boot = deployed.operator("status", "GET", "/api/boot-status").json
    assert (boot["first_failed"], boot["gates"][0]["reasons"]) == (0, [code])


def test_a_trust_that_does_not_follow_degrades_and_blocks_nothing(deployed: Cloud) -> None:
    deployed.store.put(trust_name(2), b"half writ", if_generation=0)
    assert push(deployed, "Still.").status_code == 200
    state = deployed.operator("status", "GET", "/api/operational-state").json
    assert (state["state"], state["reasons"], state["serving"]) == ("DEGRADED", ["trust_invalid"], "1-2")
    deployed.follow("1-2")
    health = deployed.call("status", "GET", "/health")
    assert (health.status_code, health.json["status"]) == (200, "degraded")
    gates = deployed.operator("status", "GET", "/api/boot-status").json["gates"]
    assert [gate["status"] for gate in gates] == ["pass", "warn", *["pass"] * 7]


def test_a_report_with_an_unknown_state_is_refused(deployed: Cloud) -> None:
    answer = deployed.puller("POST", "/v1/report", json={"outcome": "current", "reasons": [], "state": "FINE"})
    assert (answer.status_code, answer.json["code"]) == (400, "REPORT_INVALID")


# A look at the trust that fails accuses nobody


def other_instance(cloud: Cloud) -> World:
    """An instance that knows the newest trust, over the same store."""
    world = World(store=cloud.store)
    world.clock, world.source = SystemClock(), Down(world.repository)  # type: ignore[assignment]
    world.look_at_trust()
    return world


def poll_while_the_trust_cannot_be_read(cloud: Cloud):  # noqa: ANN201 - the framework's answer
    real = SqliteStore.get

    def get(self: SqliteStore, name: str):  # noqa: ANN202 - as the store's
        if name == trust_name(2):
            raise UnavailableError("STORE_UNAVAILABLE", "no answer")
        return real(self, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqliteStore, "get", get)
        return cloud.operator("poll", "POST", "/api/poll")


def test_one_failed_read_of_the_trust_takes_back_nothing(deployed: Cloud) -> None:
    push(deployed, "One more.")
    assert deployed.operator("poll", "POST", "/api/poll").status_code == 200  # this instance knows version 1
    floor = base64.b64encode(deployed.puller("GET", "/v1/current").data).decode()
    deployed.puller("POST", "/v1/report", json={"outcome": "current", "reasons": [], "floor": floor})
    upload(deployed, TRUST, signer_keys=BOTH)
    other = other_instance(deployed)
    other.signer = SECOND
    other.roll_back("1-1")
    assert other.pointer.deployment == "1-3"
    assert poll_while_the_trust_cannot_be_read(deployed).status_code == 503
    assert other.pointer.deployment == "1-3"


def test_one_failed_read_of_the_trust_latches_nothing(deployed: Cloud) -> None:
    assert deployed.operator("poll", "POST", "/api/poll").status_code == 200
    upload(deployed, TRUST, epoch=2)
    other = other_instance(deployed)
    other.store = DiesBehindThePointer(other.store)
    with suppress(Killed):
        other.poll()
    assert poll_while_the_trust_cannot_be_read(deployed).status_code == 503
    assert deployed.operator("poll", "POST", "/api/poll").status_code == 200


def test_health_looks_for_a_newer_trust_before_it_speaks_of_a_pause(deployed: Cloud) -> None:
    deployed.follow()
    assert deployed.call("status", "GET", "/health").status_code == 200
    upload(deployed, TRUST, epoch=2)
    # Another instance publishes in the new epoch; this one has looked at the trust a moment ago.
    deployed.set("STORE_URI", f"sqlite://{deployed.store_path.parent}/./{deployed.store_path.name}")
    assert deployed.operator("poll", "POST", "/api/poll").status_code == 200
    deployed.follow("2-1")
    deployed.set("STORE_URI", f"sqlite://{deployed.store_path}")
    health = deployed.call("status", "GET", "/health")
    assert (health.status_code, health.json["state"], health.json["last_deployment"]["id"]) == (200, "READY", "2-1")
