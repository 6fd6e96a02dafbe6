"""The shell blocks of the module's ten steps, run as they stand, as far as that goes without a cloud."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.terraform.conftest import CONFIGURATION, EXAMPLE, PLACEHOLDER, ROOT

if TYPE_CHECKING:
    from tests.terraform.conftest import Terraform

GCLOUD = """#!/bin/sh
echo "$@" >> "$HOME/gcloud.log"
for each in "$@"; do case "$each" in --data-file=*) cat "${each#--data-file=}" > /dev/null || exit 1;; esac; done
"""


def block(beginning: str) -> str:
    """The block of commands whose first line begins so."""
    blocks = re.findall(r"(?:^ {7}.*\n)+", (CONFIGURATION / "README.md").read_text(), re.MULTILINE)
    return next(each for each in blocks if each.strip().startswith(beginning))


def run(commands: str, folder: Path, home: Path) -> str:
    """Run commands in a folder, with our own modules and a stand-in for gcloud in reach."""
    path = f"{home / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(home), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-euc", commands], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_steps_make_the_keys_the_trust_and_the_secrets_that_the_plan_asks_for(
    tmp_path: Path, terraform: Terraform, planned: list[dict[str, Any]]
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gcloud").write_text(GCLOUD)
    (tmp_path / "bin" / "gcloud").chmod(0o755)
    (tmp_path / "keys").mkdir(mode=0o700)
    (tmp_path / "infra" / "terraform").mkdir(parents=True)
    (tmp_path / "passphrase").write_text("a passphrase of some length\n")

    run(block("python -m shared.cli keys new GITHUB_WEBHOOK_SECRET"), tmp_path, tmp_path)
    assert re.fullmatch(r"gateway:[0-9a-f]{64}\n", (tmp_path / "keys" / "PULLER_KEY_HASHES").read_text())
    told = run(
        block("python -m shared.cli operator init").strip() + " --passphrase-file passphrase", tmp_path, tmp_path
    )
    anchor = re.search(r"^TRUST_ANCHOR=(.+)$", told, re.MULTILINE)
    assert anchor is not None

    for name in ("GITHUB_TOKEN", "ALERT_URLS", "NEO4J_PASSWORD"):
        (tmp_path / "keys" / name).write_text("from elsewhere\n")
    run(block("for name in"), tmp_path / "infra" / "terraform", tmp_path)
    written = {line.split()[3] for line in (tmp_path / "gcloud.log").read_text().splitlines()}
    kept = {each["change"]["after"]["secret_id"] for each in planned if each["type"] == "google_secret_manager_secret"}
    assert written == {name for name in kept if name.startswith("skill-sync-prod-")}

    assert _planned_with(terraform, anchor[1]) == 0


def _planned_with(terraform: Terraform, anchor: str) -> int:
    text = (CONFIGURATION / "terraform.tfvars.example").read_text()
    prod = text[: text.index("  # Another branch")] + "}\n"
    (terraform.folder / "steps.tfvars").write_text(prod.replace(PLACEHOLDER, anchor))
    (terraform.folder / "steps").mkdir()
    (terraform.folder / "steps" / "steps.tftest.hcl").write_text(EXAMPLE)
    assert json.loads(anchor)["payloadType"] == "application/vnd.skill-sync.trust+json"
    return terraform("test", "-no-color", "-test-directory=steps", "-var-file=steps.tfvars").returncode
