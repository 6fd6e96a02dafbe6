"""infra/terraform as Terraform itself reads it: formatted, valid under Google's schema, and planned as it should be."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.terraform.conftest import trust_anchor
from tests.terraform.real_terraform import CONFIGURATION, ROOT

if TYPE_CHECKING:
    from tests.terraform.real_terraform import Terraform

CHECKOV = ROOT / ".venv" / "checkov" / "bin" / "python"
WRONG = """
mock_provider "google" {}

run "all_at_once" {
  command = plan
  variables {
    project = "octo-skills"
    package = "tests/package.txt"
    region  = "us-central1-a"
    budget  = 0
    channels = {
      Production = {
        github_owner         = "https://github.com/octo"
        github_repo          = "skills"
        github_branch        = "refs/heads/main"
        github_app_id        = "123"
        optional_secrets     = ["GITHUB_TOKEN", "NEO4J_USER", "TOKEN"]
        trust_anchor         = "{}"
        layout               = "both"
        polling_interval_min = 7
        deployment_lock_ttl  = 4000
        settings             = { SIGNING_KEY = "x" }
        min_instances        = { release = 9 }
        operators            = ["allUsers"]
      }
      Production-2 = {
        github_owner = "octo"
        github_repo  = "skills"
        trust_anchor = TRUST
      }
      staging = {
        github_owner = "octo"
        github_repo  = "skills"
        neo4j_uri    = "bolt://neo4j.railway.internal:7687"
        trust_anchor = TRUST
      }
    }
  }
}
"""


def test_it_is_formatted_as_terraform_formats(terraform: Terraform) -> None:
    done = terraform("fmt", "-check", "-recursive", "-no-color")
    assert (done.returncode, done.stdout.strip()) == (0, "")


def test_it_is_valid_under_googles_schema(terraform: Terraform) -> None:
    done = terraform("validate", "-no-color")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("  public_acess_prevention = true", 'An argument named "public_acess_prevention" is not expected here'),
        ('  versioning = "on"', 'An argument named "versioning" is not expected here'),
        ("  labels = 3", "Incorrect attribute value type"),
    ],
)
def test_what_googles_schema_does_not_know_is_found(terraform: Terraform, line: str, said: str) -> None:
    odd = terraform.folder / "odd.tf"
    odd.write_text(f'resource "google_storage_bucket" "odd" {{\n  name = "odd"\n{line}\n}}\n')
    try:
        done = terraform("validate", "-no-color")
    finally:
        odd.unlink()
    told = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert said in told
    assert 'The argument "location" is required' in told


def test_its_own_tests_pass(terraform: Terraform) -> None:
    done = terraform("test", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Success! (\d+) passed, 0 failed", done.stdout)


def test_every_wrong_or_contradictory_variable_is_named_at_once(terraform: Terraform) -> None:
    (terraform.folder / "wrong").mkdir()
    (terraform.folder / "wrong" / "wrong.tftest.hcl").write_text(WRONG.replace("TRUST", json.dumps(trust_anchor())))
    assert terraform("init", "-backend=false", "-no-color", "-test-directory=wrong").returncode == 0
    done = terraform("test", "-no-color", "-test-directory=wrong")
    told = " ".join(done.stderr.split())
    assert done.returncode == 1
    variables = (CONFIGURATION / "variables.tf").read_text()
    messages = re.findall(r'error_message = "([^"$]+)', variables)
    # What stands in this one channel's place cannot be wrong in these ways, too.
    others = ("channels: expected at least one", "package:", "project:", "alert_emails:", "billing_account:")
    expected = [message for message in messages if not message.startswith(others)]
    assert len(expected) > 15
    assert [message for message in expected if " ".join(message.split()) not in told] == []


def test_the_schema_covers_every_type_that_is_used() -> None:
    schema = json.loads((Path(__file__).parent / "schema.json").read_text())
    texts = [file.read_text() for file in CONFIGURATION.rglob("*.tf")]
    used = {
        kind: {name for text in texts for name in re.findall(rf'^{kind} "(\w+)"', text, re.MULTILINE)}
        for kind in ("resource", "data")
    }
    assert used == {"resource": set(schema["resources"]), "data": set(schema["data"])}


def test_the_schema_is_that_of_the_provider_that_is_required() -> None:
    version = json.loads((Path(__file__).parent / "schema.json").read_text())["version"]
    texts = [file.read_text() for file in CONFIGURATION.rglob("versions.tf")]
    required = {found for text in texts for found in re.findall(r'version = "~> ([\d.]+)"', text)}
    assert required == {".".join(version.split(".")[:2])}


def test_checkov_finds_nothing_and_every_skip_says_why() -> None:
    if not CHECKOV.exists():
        assert not os.environ.get("CI"), "`make test` installs checkov"
        pytest.skip("`make test` installs checkov")
    command = [
        CHECKOV,
        "-m",
        "checkov.main",
        "--directory",
        CONFIGURATION,
        "--skip-download",
        "--framework",
        "terraform",
        "-o",
        "json",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=100)
    found = json.loads(done.stdout)
    assert found["summary"]["failed"] == 0, [
        (check["check_id"], check["resource"]) for check in found["results"]["failed_checks"]
    ]
    assert found["summary"]["parsing_errors"] == 0
    assert found["summary"]["passed"] > 15
    reasons = {
        check["check_id"]: check["check_result"]["suppress_comment"] for check in found["results"]["skipped_checks"]
    }
    assert all(len(reason) > 20 for reason in reasons.values())
    # A skip that nothing needs any more is to be taken out.
    written = {
        match for file in CONFIGURATION.rglob("*.tf") for match in re.findall(r"checkov:skip=(\w+)", file.read_text())
    }
    assert written == set(reasons)
