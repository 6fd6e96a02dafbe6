"""The functions in the image that the cloud builds: every entry point starts and answers there, and starts fast enough."""

from __future__ import annotations

import base64
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from functions import main
from tests.bench import cold_start
from tests.bench.cold_start import Outside, outside
from tests.image import CLOUD, MISSING, Asked, Image, cloud_environment_is_there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The targets are 1.3 and 2.5, by the clock of a machine at rest (`make bench`). This is processor time, on a busy one.
COARSE_REFUSED_RATIO = 1.4
COARSE_FIRST_DEPLOYMENT_RATIO = 2.6

pytestmark = pytest.mark.skipif(not cloud_environment_is_there() and not os.environ.get("CI"), reason=MISSING)


class Deployed:
    """The image, and a bucket in which the first deployment is live."""

    def __init__(self, image: Image, around: Outside) -> None:
        self.image = image
        self.settings = around.settings(0)
        self._around = around
        first = image.first_answer("webhook", around.push(), self.settings)
        assert first.status == 200, first.body

    def asked(self, target: str, method: str, path: str, body: bytes) -> Asked:
        """A request with what this function wants to see."""
        keys = self._around.keys
        password = base64.b64encode(f"operator:{keys['MANUAL_SYNC_API_KEY']}".encode()).decode()
        if target == "webhook":
            return self._around.push()
        headers = {
            "release": {"Authorization": f"Bearer {keys['PULLER_KEY']}"},
            "dashboard": {"Authorization": f"Basic {password}"},
        }.get(target, {"x-api-key": keys["MANUAL_SYNC_API_KEY"], "Content-Type": "application/json"})
        return Asked(method=method, path=path, body=body, headers=headers)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    assert cloud_environment_is_there(), MISSING
    folder = tmp_path_factory.mktemp("image")
    with outside(folder) as around:
        yield Deployed(Image(folder / "image"), around)


ASKED = {
    "app": ("GET", "/api/deployments", b"", b'"1-1"'),
    "dashboard": ("GET", "/", b"", b"<html"),
    "poll": ("POST", "/api/poll", b"", b'"unchanged"'),
    "release": ("GET", "/v1/current", b"", b'"payload"'),
    "status": ("GET", "/api/skills", b"", b'"skill-0000"'),
    "sync": ("POST", "/api/sync", b"", b'"unchanged"'),
    "validate": ("POST", "/api/validate", b'{"ref": "main"}', b'"valid": true, "skills": 3'),
    "webhook": ("POST", "/webhook/github", b"", b'"unchanged"'),
}


@pytest.mark.parametrize("target", main.__all__)
def test_every_entry_point_does_its_work_in_the_image(deployed: Deployed, target: str) -> None:
    method, path, body, said = ASKED[target]
    answer = deployed.image.first_answer(target, deployed.asked(target, method, path, body), deployed.settings)
    assert (answer.status, said in answer.body) == (200, True), answer.body[:500]


def test_the_image_holds_the_zips_content_and_the_requirements_alone(deployed: Deployed) -> None:
    assert deployed.image.names() == {"functions", "shared", "requirements.txt"}
    script = "import importlib.util as u; print(*[n for n in ('pytest', 'ruff', 'mypy', 'shared', 'tests') if u.find_spec(n)])"
    done = subprocess.run([CLOUD / "bin" / "python", "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_cold_start_costs_little_more_than_the_framework_itself(tmp_path: Path) -> None:
    found = cold_start.measure(tmp_path, rounds=2)
    assert found.cpu_ratio("refused") < COARSE_REFUSED_RATIO, cold_start.told(found)
    assert found.cpu_ratio("deployed") < COARSE_FIRST_DEPLOYMENT_RATIO, cold_start.told(found)
