from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONFIGURATION = ROOT / "infra" / "terraform"
PYTHON = ROOT / ".venv" / "terraform" / "bin" / "python"
MISSING = "`make test` installs Terraform (tests/terraform/requirements.txt)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terraform:
    """Terraform in a copy of the configuration, with a provider that knows Google's schema."""

    folder: Path
    environment: Mapping[str, str]

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command; colours and line breaks for a window are left out."""
        return subprocess.run(
            [PYTHON, HERE / "command.py", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    if not PYTHON.exists():
        assert not os.environ.get("CI"), MISSING
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("terraform") / "terraform"
    shutil.copytree(CONFIGURATION, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TF_CLI_CONFIG_FILE": os.devnull}
    built = Terraform(folder=folder, environment={**environment, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"})
    ready = built("init", "-backend=false", "-no-color")
    assert ready.returncode == 0, ready.stderr
    return built


@pytest.fixture(scope="session")
def table() -> dict[str, dict[str, dict[str, object]]]:
    """The map of the functions."""
    text = (CONFIGURATION / "channel" / "functions.yaml").read_text()
    read: dict[str, dict[str, dict[str, object]]] = yaml.CSafeLoader(text).get_single_data()
    return read
