from __future__ import annotations

import base64
import json
import os
import shutil
from typing import Any

import pytest
import yaml

from tests.terraform.real_terraform import CONFIGURATION, MISSING, PYTHON, Terraform, terraform_in

PLACEHOLDER = '{"payload": "…", "payloadType": "…", "signatures": []}'
"""What stands in the example of variables where the trust belongs."""
EXAMPLE = """
mock_provider "google" {}

variables {
  package = "tests/package.txt"
}

run "planned" {
  command = plan
}
"""


def trust_anchor(**changes: str) -> str:
    """What the operator's tool prints for the channel `prod`, as far as Terraform reads it."""
    trust = {"channel": "prod", "ref": "HEAD", "repo": "octo/skills", "version": 1, **changes}
    return json.dumps({"payload": base64.b64encode(json.dumps(trust).encode()).decode()})


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    if not PYTHON.exists():
        assert not os.environ.get("CI"), MISSING
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("terraform") / "terraform"
    shutil.copytree(CONFIGURATION, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars"))
    built = terraform_in(folder)
    ready = built("init", "-backend=false", "-no-color")
    assert ready.returncode == 0, ready.stderr
    return built


@pytest.fixture(scope="session")
def planned(terraform: Terraform) -> list[dict[str, Any]]:
    """What the example of variables makes, with its trust filled in: each resource's address, type and values."""
    text = (CONFIGURATION / "terraform.tfvars.example").read_text()
    for channel, branch in (("prod", "main"), ("staging", "next")):
        text = text.replace(PLACEHOLDER, trust_anchor(channel=channel, ref=f"refs/heads/{branch}"), 1)
    (terraform.folder / "example.tfvars").write_text(text)
    (terraform.folder / "example").mkdir()
    (terraform.folder / "example" / "example.tftest.hcl").write_text(EXAMPLE)
    done = terraform("test", "-json", "-verbose", "-test-directory=example", "-var-file=example.tfvars")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, [line["@message"] for line in told]
    plan = next(line["test_plan"] for line in told if line["type"] == "test_plan")
    changes: list[dict[str, Any]] = plan["resource_changes"]
    return changes


@pytest.fixture(scope="session")
def table() -> dict[str, dict[str, dict[str, object]]]:
    """The map of the functions."""
    text = (CONFIGURATION / "channel" / "functions.yaml").read_text()
    read: dict[str, dict[str, dict[str, object]]] = yaml.CSafeLoader(text).get_single_data()
    return read
