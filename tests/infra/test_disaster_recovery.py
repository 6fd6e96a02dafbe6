"""`disaster-recovery.md`, followed to the letter on installations that were really taken back: each ends READY at the head."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from shared.cli.trust_home import open_home
from shared.core.names import trust_name
from tests.fakes.neo4j_graph import dumped
from tests.infra import gcloud_stand_in
from tests.infra.disaster_page import (
    ACKNOWLEDGE,
    FIRST,
    GCLOUD,
    LOST_ANCHOR,
    LOST_KEY,
    OPEN,
    OTHER,
    PAGE,
    PUSH,
    TWO,
    VERIFY,
    act,
    follow,
    look,
    table,
    verify,
)
from tests.infra.runbook_page import commands
from tests.infra.site import BUCKET, VOLUME

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.infra.site import Site
    from tests.neo4j.server import Server

UNUSED = {"DIGEST": "", "GENERATION": ""}
RESTORES = table("rewound, or lost")


@pytest.mark.parametrize("pushes", [False, True], ids=["same head", "new commit"])
@pytest.mark.parametrize(("rewound", "needed"), RESTORES)
def test_after_any_restore_the_page_leads_to_ready_at_the_head(
    install: Callable[..., Site], graph_server: Server, rewound: str, needed: str, *, pushes: bool
) -> None:
    site = install(*(part for part in rewound.split(" + ") if part != "nothing"))
    if pushes:
        site.push("Five.")
    site.start()
    assert site.poll() == (409 if needed == "yes" else 200)
    assert follow(site) == ([OPEN] if needed == "yes" else [])
    assert site.is_at_head()
    assert site.live().epoch == (2 if needed == "yes" else 1)
    held = dumped(graph_server)
    assert held.head is not None
    assert f"{held.head[0]}-{held.head[1]}" == site.puller()["deployment"]


@pytest.mark.parametrize(("lost", "gone"), [(BUCKET, [OPEN]), (VOLUME, [])])
def test_what_was_lost_altogether_is_no_other_case(install: Callable[..., Site], lost: str, gone: list[str]) -> None:
    site = install()
    shutil.rmtree(site.folder / "snapshot" / lost)
    (site.folder / "snapshot" / lost).mkdir()
    site.take_back(lost)
    site.start()
    assert site.poll() == (409 if gone else 200)
    assert follow(site) == gone
    assert site.is_at_head()


def test_a_rewound_bucket_shows_as_the_page_says(install: Callable[..., Site]) -> None:
    site = install(BUCKET)
    site.start()
    assert site.call("POST", "/api/poll").json()["code"] == "PAUSED"
    health = site.call("GET", "/health")
    assert (health.status_code, health.json()["state"]) == (503, "PAUSED")
    assert site.run("python -m shared.cli sync").returncode == 3
    seen = look(site)
    assert (seen.boot["first_failed"], seen.puller["match_status"]) == (6, "mismatch_detected")
    remembered = {each["party"]: each["deployment"] for each in seen.dr["remembered"]}
    assert (seen.dr["store"]["deployment"], remembered["puller edge"], remembered["audit"]) == ("1-2", "1-4", "1-4")
    assert follow(site) == [OPEN]
    told = sorted(entry.name.partition("-dr-")[2] for entry in site.store.list("events/") if "-dr-" in entry.name)
    observed = [f"observed-{party}-1-mismatch_detected.json" for party in ("edge", "functions")]
    assert told == [*observed, "recovered-edge-2.json", "recovered-functions-2.json"]


def opened(install: Callable[..., Site]) -> Site:
    """An installation in epoch 2, whose bucket was then taken back to before that."""
    site = install()
    site.start()
    act(site, OPEN)
    site.until(lambda: site.puller()["deployment"] == "2-1", "the second epoch on the volume")
    site.take_back(BUCKET)
    site.start()
    assert site.poll() == 409
    return site


def test_trust_that_was_rewound_too_is_pushed_again_before_a_new_epoch(install: Callable[..., Site]) -> None:
    site = opened(install)
    assert follow(site) == [PUSH, OPEN]
    assert site.live().epoch == 3


def test_trust_that_the_operators_folder_lacks_comes_from_a_volume(install: Callable[..., Site]) -> None:
    site = opened(install)
    signed = (site.operator / trust_name(2)).read_bytes()
    (site.operator / trust_name(2)).unlink()
    assert follow(site) == [PUSH, OPEN]
    assert (site.operator / trust_name(2)).read_bytes() == signed
    assert site.live().epoch == 3


def test_a_bump_that_was_one_too_few_is_followed_by_another(install: Callable[..., Site]) -> None:
    site = opened(install)
    (site.operator / trust_name(2)).unlink()
    site.variables["VOLUME"] = str(site.folder / "nowhere")
    assert follow(site) == [PUSH, OPEN]  # the first one opens an epoch because nobody has a copy
    assert [trust.epoch for trust in open_home(site.operator).chain] == [1, 2, 3]
    assert site.live().epoch == 3


def test_a_store_that_is_rewound_once_more_pauses_again_and_is_opened_again(install: Callable[..., Site]) -> None:
    site = install(BUCKET)
    site.start()
    assert site.poll() == 409
    assert follow(site) == [OPEN]
    site.keep(BUCKET)
    site.start()
    site.deploy("Five.")
    site.take_back(BUCKET)
    site.start()
    assert site.poll() == 409
    assert look(site).dr["pauses"][0]["epoch"] == 2
    assert follow(site) == [OPEN]
    assert site.live().epoch == 3


def forked(install: Callable[..., Site]) -> Site:
    """An installation that ran on in a rewound bucket, while its volume was away, until it overtook the volume."""
    site = install(BUCKET)
    site.start(puller=False)
    for number in range(4):
        site.deploy(f"Fork {number}.")
    site.start_puller()
    assert site.poll() == 409
    gcloud_stand_in.install(site.folder / "bin", GCLOUD, {**UNUSED, **site.variables})
    return site


def test_two_histories_end_with_an_epoch_that_names_the_incident(install: Callable[..., Site]) -> None:
    site = forked(install)
    before = (site.volume / "skills/a/SKILL.md").read_bytes()
    assert look(site).puller["match_status"] == "monotonic_violation"
    assert (site.volume / "skills/a/SKILL.md").read_bytes() == before
    assert follow(site) == [TWO]
    assert [call[1] for call in gcloud_stand_in.asked(site.folder / "bin")] == ["cp"]
    newest = open_home(site.operator).newest
    assert (newest.epoch, newest.ack, newest.incident) == (2, 1, "INC-1")


def test_a_violation_outlives_an_epoch_that_names_no_incident_until_it_is_acknowledged(
    install: Callable[..., Site],
) -> None:
    site = forked(install)
    act(site, OPEN)
    assert follow(site) == [ACKNOWLEDGE]
    assert (site.live().epoch, open_home(site.operator).newest.ack) == (2, 1)


def another_desk(site: Site) -> dict[str, str]:
    """Another operator's copy of the folder, as it is now."""
    shutil.copytree(site.operator, site.folder / "other")
    return {"OPERATOR_HOME": str(site.folder / "other")}


def test_an_epoch_that_another_operator_has_opened_is_not_opened_twice(install: Callable[..., Site]) -> None:
    site = install(BUCKET)
    other = another_desk(site)
    site.start()
    assert site.poll() == 409
    seen = look(site)
    assert seen.section == OPEN
    for command in commands(PAGE, OPEN):
        assert site.run(command, **other).returncode == 0
    pulled = site.run(commands(PAGE, OPEN)[0])
    assert int(pulled.stdout.rpartition("epoch ")[2]) > seen.dr["trust"]["epoch"]
    assert follow(site) == []
    assert (site.live().epoch, open_home(site.operator).newest.version) == (2, 2)


@pytest.mark.parametrize("both_signed", [False, True], ids=["TRUST_AHEAD", "TRUST_FORKED"])
def test_what_another_operator_pushed_first_counts(install: Callable[..., Site], *, both_signed: bool) -> None:
    site = install(BUCKET)
    other = another_desk(site)
    site.start()
    assert site.poll() == 409
    pull, bump, push, poll = commands(PAGE, OPEN)
    if both_signed:
        assert site.run(bump, **other).returncode == 0
        assert site.run(bump).returncode == 0
        assert site.run(push, **other).returncode == 0
    else:
        for command in (pull, bump, push, poll):
            assert site.run(command, **other).returncode == 0
    refused = site.run(push)
    assert refused.returncode != 0
    assert ("TRUST_FORKED" if both_signed else "TRUST_AHEAD") in refused.stderr
    ahead, *fork = commands(PAGE, FIRST)
    for command in fork if both_signed else [ahead]:
        assert site.run(command, FORKED="2").returncode == 0
    stored = site.store.get(trust_name(2))
    assert stored is not None
    assert (site.operator / trust_name(2)).read_bytes() == stored.data
    assert follow(site) == []
    assert site.live().epoch == 2


def test_a_lost_operators_key_is_followed_by_a_chain_that_is_ahead_of_all_memories(
    install: Callable[..., Site],
) -> None:
    site = install()
    site.start()
    act(site, OPEN)
    site.until(lambda: site.puller()["deployment"] == "2-1", "the second epoch on the volume")
    seen = look(site)
    shutil.rmtree(site.operator)
    site.operator = site.folder / "new"
    site.variables |= {
        "NEW_HOME": str(site.operator),
        "OLD_EPOCH": str(seen.dr["trust"]["epoch"]),
        "SIGNER_KEY": seen.dr["signer"]["public_key"],
        "REPO": "octo/skills",
        "REF": "refs/heads/main",
        "CHANNEL": "prod",
    }
    gcloud_stand_in.install(site.folder / "bin", GCLOUD, {**UNUSED, **site.variables})
    printed = ""
    for command in commands(PAGE, LOST_KEY):
        ran = site.run(command)
        assert ran.returncode == 0, f"{command}: {ran.stderr}"
        if command.text.startswith("gcloud storage mv"):
            site.rename("trust", "trust-lost")
        printed = ran.stdout
    anchor = printed.partition("TRUST_ANCHOR=")[2].strip()
    assert site.poll() == 200  # whoever runs goes on with what it knows
    site.at_the_puller = {"TRUST_ANCHOR": os.environ["TRUST_ANCHOR"]}
    site.set(TRUST_ANCHOR=anchor)
    assert site.poll() == 200
    site.until(lambda: site.puller()["state"] == "PAUSED", "the puller refuses what the new chain brought")
    assert site.puller()["deployment"] == "2-1"
    site.at_the_puller = {}
    verify(site)
    assert site.live().epoch == 3


def test_the_anchor_is_printed_and_stands_in_the_store(install: Callable[..., Site]) -> None:
    site = install()
    site.start()
    shown = site.run(commands(PAGE, LOST_ANCHOR)[0]).stdout.partition("TRUST_ANCHOR=")[2].strip()
    stored = site.store.get(trust_name(1))
    assert stored is not None
    assert shown == stored.data.decode()
    site.set(TRUST_ANCHOR=shown)
    verify(site)


def test_archives_that_nobody_has_any_more_are_fetched_again_in_a_new_epoch(install: Callable[..., Site]) -> None:
    site = install(VOLUME)
    site.rename("objects", "deleted")
    site.start()
    assert "OBJECT_MISSING" in site.puller()["reasons"]
    act(site, OPEN)
    assert follow(site) == []
    assert site.is_at_head()


def test_rubbish_in_the_trust_is_moved_away(install: Callable[..., Site]) -> None:
    site = install()
    site.store.put(trust_name(2), b"rubbish", if_generation=0)
    site.start()
    assert look(site).section == OTHER
    assert site.call("GET", "/api/operational-state").json()["reasons"] == ["trust_invalid"]
    site.rename("trust", "moved")
    assert site.run(commands(PAGE, PUSH)[0]).returncode == 0
    assert look(site).section == VERIFY
    assert site.puller()["reasons"] == ["trust_invalid"]  # it does not look again so soon, unless there is a newer one
    act(site, OPEN)
    assert follow(site) == []
    assert site.live().epoch == 2
