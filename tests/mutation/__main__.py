"""Changes the checks and states in every small way there is and runs their tests: each change must be noticed, or explained.

`make mutants`; mutmut does the work (its settings stand in pyproject.toml). It ends with 1 where a change survives that
`explained.toml` does not name, or where that file names one that no longer survives.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MUTMUT = str(Path(sys.executable).parent / "mutmut")
SECONDS = 1800


def run(*arguments: str) -> str:
    """Run mutmut and return what it prints."""
    done = subprocess.run([MUTMUT, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        sys.exit(f"mutmut {arguments[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def outcomes() -> dict[str, str]:
    """Every mutant's name with what became of it."""
    lines = run("results", "--all", "true").splitlines()
    return dict(line.strip().split(": ", 1) for line in lines if ": " in line)


def change(name: str) -> tuple[str, str, str]:
    """What a mutant changes: the function, the line as it is, and as it became."""
    lines = [line for line in run("show", name).splitlines() if line[:1] in "-+" and line[:3] not in {"---", "+++"}]
    changed = [line for line in lines if "__mutmut_" not in line and " def x_" not in line]
    before, after = (" ".join(line[1:].strip() for line in changed if line.startswith(sign)) for sign in "-+")
    module, _, function = name.rpartition(".")
    return f"{module}.{function.removeprefix('x_').partition('__mutmut_')[0]}", before, after


def main() -> int:
    """Run everything and compare with the explanations."""
    run("run")
    found = outcomes()
    lived = {name: change(name) for name, outcome in found.items() if outcome != "killed"}
    known = {
        (entry["where"], entry["before"], entry["after"]): entry["why"]
        for entry in tomllib.loads((ROOT / "tests" / "mutation" / "explained.toml").read_text())["survivor"]
    }
    print(f"{len(found)} mutants, {len(found) - len(lived)} killed, {len(lived)} survived, {len(known)} explained")
    for name, what in lived.items():
        told = known.get(what)
        print(f"\n{name} ({found[name]})\n  - {what[1]}\n  + {what[2]}\n  {told or 'NOT EXPLAINED'}")
    stale = known.keys() - set(lived.values())
    for where, before, _ in sorted(stale):
        print(f"\nexplained, but no longer there: {where}: {before}")
    return 1 if stale or any(what not in known for what in lived.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
