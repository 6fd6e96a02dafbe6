"""README's ten steps, run as they stand: at their end a gateway is live, and a push is in its skills folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_run import until
from tests.infra import test_puller_package as puller
from tests.infra.first_hour import DOCKERFILE, FirstHour, beginning
from tests.infra.quick_start import CLOUD, README, quick_start
from tests.terraform import real_terraform as terraform
from tests.terraform.real_terraform import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCKS = quick_start(CLOUD)
LAST = BLOCKS[-1]
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 11), reason="the page says Python 3.11 on Linux"
)


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstHour]:
    """The ten steps up to the last look, with what others do between them."""
    for file, missing in ((puller.FILE, puller.MISSING), (terraform.PYTHON, terraform.MISSING)):
        if not file.exists():
            assert not os.environ.get("CI"), missing
            pytest.skip(missing)
    with beginning(tmp_path_factory.mktemp("hour")) as hour:
        for block in BLOCKS:
            if block is LAST:
                _others_act_before_the_last_look(hour)
            hour.run(block)
            if block.step == 3:
                hour.put_the_tokens_in()
            if block.step == 8:
                hour.start_the_functions()
        yield hour


def _others_act_before_the_last_look(hour: FirstHour) -> None:
    """Railway starts the gateway, somebody pushes, and the scheduler polls."""
    hour.deploy_the_gateway()
    installed = hour.volume / "skills"
    until((installed / "alpha" / "SKILL.md").exists, "the skill that was deployed by hand")
    hour.push_a_skill("beta")
    until((installed / "beta" / "SKILL.md").exists, "the skill that was pushed")
    assert hour.poll() == 200
    until(lambda: _puller(hour) == ("gateway", "current"), "the puller's report")


def _puller(hour: FirstHour) -> tuple[str, str]:
    (found,) = hour.health()["services"]["pullers"]
    return found["id"], found["status"]


def test_the_steps_are_ten_and_each_has_its_commands() -> None:
    assert sorted({block.step for block in BLOCKS}) == list(range(1, 11))
    assert LAST.step == 10
    assert LAST.text.splitlines() == ["python -m shared.cli status", "python -m shared.cli doctor"]


def test_at_the_end_the_gateway_is_live_and_a_push_came_by_the_webhook(hour: FirstHour) -> None:
    pushes = [each for each in hour.deliveries if each.event.name == "push"]
    assert [each.status_code for each in pushes] == [200]
    assert '"deployed"' in (pushes[0].response_payload or "")
    assert (hour.volume / "skills" / "beta" / "SKILL.md").read_text().endswith("Pushed.\n")
    assert hour.health()["status"] == "healthy"


def test_the_last_look_names_the_puller_as_current_and_finds_nothing_wrong(hour: FirstHour) -> None:
    told = hour.printed[10]
    assert "gateway" in told
    assert " 0 failed" in told


def test_the_secrets_that_get_a_value_are_those_that_terraform_makes(hour: FirstHour) -> None:
    made = {each["secret_id"] for each in hour.resources("google_secret_manager_secret")}
    assert {call[4] for call in hour.calls() if call[:4] == ["gcloud", "secrets", "versions", "add"]} == made
    assert "skill-sync-prod-github-token" in made


def test_the_gateways_repository_holds_what_its_image_is_built_from(hour: FirstHour) -> None:
    railway = ROOT / "infra" / "railway"
    assert (hour.gateway / "Dockerfile").read_text() == DOCKERFILE + (railway / "Dockerfile.fragment").read_text()
    assert (hour.gateway / "railway.json").read_bytes() == (railway / "railway.json").read_bytes()
    copied = hour.gateway / "skill-sync"
    assert {"entrypoint.sh", "skill-sync-puller.pyz"} <= {path.name for path in copied.iterdir()}
    assert os.access(copied / "entrypoint.sh", os.X_OK)


def test_the_puller_calls_itself_as_its_key_is_kept(hour: FirstHour) -> None:
    kept = (hour.clone / "keys" / "PULLER_KEY_HASHES").read_text().partition(":")[0]
    assert (hour.variables()["PULLER_ID"], kept) == ("gateway", "gateway")


def test_the_makefile_has_every_target_that_the_steps_ask_for(hour: FirstHour) -> None:
    targets = [call[1] for call in hour.calls() if call[0] == "make"]
    assert targets == [".venv/.runtime", "package", "puller"]
    subprocess.run(["make", "-n", *targets], cwd=ROOT, capture_output=True, check=True)


def test_no_secret_was_an_argument_or_is_printed_or_readable_by_others(hour: FirstHour) -> None:
    keys = hour.clone / "keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    told = "".join(path.read_text() for path in (hour.folder / "calls", hour.folder / "functions.log"))
    told += "".join(hour.printed.values())
    for name in (
        "GITHUB_WEBHOOK_SECRET",
        "MANUAL_SYNC_API_KEY",
        "SIGNING_KEY",
        "PULLER_KEY",
        "GITHUB_TOKEN",
        "setup_token",
    ):
        assert (keys / name).read_text().strip() not in told, name


def test_git_ignores_whatever_the_steps_leave_in_the_project(hour: FirstHour) -> None:
    left = [path for path in hour.clone.iterdir() if not (ROOT / path.name).exists() or path.name == "dist"]
    assert {"keys", "operator", "dist"} <= {path.name for path in left}
    for path in (*left, hour.clone / "infra" / "terraform" / "terraform.tfvars"):
        name = f"{path.relative_to(hour.clone)}{'/' if path.is_dir() else ''}"
        subprocess.run(["git", "check-ignore", "-q", "--no-index", name], cwd=ROOT, check=True)


def test_the_page_names_the_files_of_the_tokens_as_its_commands_do(hour: FirstHour) -> None:
    page = README.read_text(encoding="utf-8")
    for name in ("GITHUB_TOKEN", "setup_token"):
        assert f"`keys/{name}`" in page
        assert (hour.clone / "keys" / name).exists()
