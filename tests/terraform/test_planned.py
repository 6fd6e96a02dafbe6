"""What the example of variables would make: both channels, apart from each other, with environments that the functions read."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from functions import main
from shared.config import load_settings
from shared.starting import check_start
from tests.costs import CHECK_MINUTES
from tests.fakes.trusted import anchor
from tests.fakes.world import TRUST
from tests.terraform.conftest import trust_anchor

if TYPE_CHECKING:
    from pathlib import Path

FUNCTION = "google_cloudfunctions2_function"
VALUES = {
    "GITHUB_WEBHOOK_SECRET": "w" * 40 + "\n" + "v" * 40,
    "MANUAL_SYNC_API_KEY": "a" * 40,
    "SIGNING_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "PULLER_KEY_HASHES": "gateway:" + "0" * 64,
    "GITHUB_TOKEN": "t" * 40,
    "ALERT_URLS": "json://alerts.example.com",
    "NEO4J_PASSWORD": "p" * 40,
}

COMPUTED = {
    "DEFERRED_POLL_URL": "https://skill-sync-staging-poll-123456789012.us-central1.run.app/api/poll",
    "DEFERRED_CALLER": "skillsync-staging-scheduler@my-project.iam.gserviceaccount.com",
}
"""What Google would answer to the apply, in a form that the functions read."""


def functions_of(planned: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The planned functions' configuration, by `<channel>-<function>`."""
    found = [each["change"]["after"] for each in planned if each["type"] == FUNCTION]
    return {each["name"].removeprefix("skill-sync-"): each["service_config"][0] for each in found}


def computed_of(planned: list[dict[str, Any]]) -> dict[str, set[str]]:
    """What of each function's environment only Google's answer to the apply tells, by `<channel>-<function>`."""
    changes = [each["change"] for each in planned if each["type"] == FUNCTION]
    return {
        change["after"]["name"].removeprefix("skill-sync-"): set(
            change["after_unknown"]["service_config"][0].get("environment_variables", {})
        )
        for change in changes
    }


def _write_secrets(folder: Path) -> None:
    for name, value in VALUES.items():
        (folder / name.lower().replace("_", "-")).mkdir()
        (folder / name.lower().replace("_", "-") / "value").write_text(value + "\n")


def _given(function: dict[str, Any], folder: Path) -> dict[str, str]:
    """A function's environment, with its secrets mounted into this folder."""
    return {key: text.replace("/secrets/", f"{folder}/") for key, text in function["environment_variables"].items()}


def test_prod_has_every_function_and_staging_the_app_and_its_poll(planned: list[dict[str, Any]]) -> None:
    assert sorted(functions_of(planned)) == sorted(
        [*(f"prod-{name}" for name in main.__all__), "staging-app", "staging-poll"]
    )


def test_the_environment_of_each_function_is_one_that_it_reads(planned: list[dict[str, Any]], tmp_path: Path) -> None:
    _write_secrets(tmp_path)
    for name, function in functions_of(planned).items():
        channel, branch = ("prod", "main") if name.startswith("prod-") else ("staging", "next")
        variables = function["environment_variables"]
        settings = load_settings(_given(function, tmp_path))
        assert settings.store_uri == f"gs://my-project-skill-sync-{channel}"
        assert (settings.channel, settings.repo, settings.ref) == (channel, "octo/skills", f"refs/heads/{branch}")
        assert settings.trust_anchor == trust_anchor(channel=channel, ref=f"refs/heads/{branch}")
        assert (settings.neo4j_uri is None) == (channel == "staging")
        held = {key.removesuffix("_FILE") for key in variables if key.endswith("_FILE")}
        assert all(settings.is_given(key) for key in held)
        if name not in {"prod-validate", "prod-release"}:
            settings.need("STORE_URI", "TRUST_ANCHOR", "SIGNING_KEY")


def test_each_function_starts_with_what_it_is_given(
    planned: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _write_secrets(tmp_path)
    for name, function in functions_of(planned).items():
        with monkeypatch.context() as environment:
            # As Cloud Run does.
            environment.setenv("K_SERVICE", f"skill-sync-{name}")
            for key, text in {**COMPUTED, **_given(function, tmp_path)}.items():
                if key not in COMPUTED or key in computed_of(planned)[name]:
                    environment.setenv(key, text)
            check_start(name.partition("-")[2])
            assert capsys.readouterr().out == ""


def test_a_function_without_one_of_its_secrets_would_not_start(
    planned: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _write_secrets(tmp_path)
    for key, text in _given(functions_of(planned)["prod-poll"], tmp_path).items():
        monkeypatch.setenv(key, text)
    monkeypatch.delenv("NEO4J_PASSWORD_FILE")
    with pytest.raises(SystemExit):
        check_start("poll")
    assert "NEO4J_PASSWORD: not set, but NEO4J_URI is" in capsys.readouterr().out


def test_health_is_checked_as_often_as_the_costs_say(planned: list[dict[str, Any]]) -> None:
    checks = [each["change"]["after"] for each in planned if each["type"] == "google_monitoring_uptime_check_config"]
    assert {each["period"] for each in checks} == {f"{60 * CHECK_MINUTES}s"}
    # None named means all of them.
    assert {tuple(each.get("selected_regions") or ()) for each in checks} == {()}


def test_who_has_a_queue_is_told_of_its_own(planned: list[dict[str, Any]]) -> None:
    given = {name: function["environment_variables"] for name, function in functions_of(planned).items()}
    queues = {name: value for name, variables in given.items() if (value := variables.get("DEFERRED_QUEUE"))}
    told = {name: load_settings({"DEFERRED_QUEUE": value}).deferred_queue for name, value in queues.items()}
    assert told == {"staging-app": "projects/my-project/locations/us-central1/queues/skill-sync-staging-deferred"}
    made = [each["change"]["after"] for each in planned if each["type"] == "google_cloud_tasks_queue"]
    assert [(each["location"], each["name"]) for each in made] == [("us-central1", "skill-sync-staging-deferred")]


def test_every_name_in_an_environment_is_a_setting_or_one_of_the_platforms(planned: list[dict[str, Any]]) -> None:
    settings = {each.metadata["name"] for each in load_settings({}).__dataclass_fields__.values()}
    names = {
        key.removesuffix("_FILE") for each in functions_of(planned).values() for key in each["environment_variables"]
    }
    assert names - settings == {"THREADS", "GOOGLE_CLOUD_PROJECT"}


def test_channels_share_nothing_but_the_package_and_its_build(planned: list[dict[str, Any]]) -> None:
    for each in planned:
        inside = re.match(r'module\.channel\["(\w+)"\]', each["address"])
        if inside is not None:
            other = "staging" if inside[1] == "prod" else "prod"
            assert f"skill-sync-{other}" not in str(each["change"]["after"])


@pytest.mark.parametrize(
    "kind", ["google_storage_bucket", "google_service_account", FUNCTION, "google_secret_manager_secret"]
)
def test_no_two_things_have_one_name(planned: list[dict[str, Any]], kind: str) -> None:
    found = [each["change"]["after"] for each in planned if each["type"] == kind]
    names = [each.get("account_id") or each.get("secret_id") or each.get("name") for each in found]
    assert len(names) == len(set(names)) > 1


def test_the_trust_that_terraform_reads_has_the_members_of_the_one_that_is_signed() -> None:
    def document(envelope: str) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
        return read

    assert document(trust_anchor()).keys() <= document(anchor(TRUST)).keys()
    assert document(anchor(TRUST))["version"] == 1
