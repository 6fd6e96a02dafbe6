"""The real Terraform in a folder with the configuration, beside a provider that knows Google's schema and nothing else."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONFIGURATION = ROOT / "infra" / "terraform"
PYTHON = ROOT / ".venv" / "terraform" / "bin" / "python"
MISSING = "`make test` installs Terraform (tests/terraform/requirements.txt)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terraform:
    """Terraform, run in one folder."""

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


def terraform_in(folder: Path) -> Terraform:
    """Terraform in this folder, with nobody's own settings."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TF_CLI_CONFIG_FILE": os.devnull}
    return Terraform(folder=folder, environment={**environment, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"})
