"""httpx comes without its own command line, and is whole in everything else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRST = "from shared.adapters.lean_httpx import httpx"


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.strip()


def test_the_command_lines_packages_are_not_loaded() -> None:
    heavy = "{'click', 'pygments', 'rich', 'httpx._main'}"
    assert run(f"{FIRST}; import sys; print({heavy} & sys.modules.keys())") == "set()"
    assert run(f"import rich, pygments; {FIRST}; print(httpx.Client)") == "<class 'httpx.Client'>"


@pytest.mark.parametrize("script", [f"{FIRST}; import httpx", f"import httpx; {FIRST}"])
def test_it_is_the_one_httpx_whoever_loads_it_first(script: str) -> None:
    assert run(f"{script}; import httpx as plain; import httpx._main; print(httpx is plain)") == "True"
