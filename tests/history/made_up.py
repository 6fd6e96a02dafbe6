"""A made-up history of a team's repository: skills come, change, break, are mended, move and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.repos import Repo

if TYPE_CHECKING:
    from pathlib import Path


def make_history(path: Path) -> Repo:
    """Make the repository; each step below is one commit."""
    repo = Repo(path)
    for name in ("alpha", "beta", "gamma", "delta", "epsilon"):
        repo.write(f"skills/{name}/SKILL.md", _skill(name, "First."))
    repo.write("skills/alpha/scripts/run.sh", "#!/bin/sh\n", executable=True)
    repo.commit("Five skills")
    for step in range(6):
        repo.write("skills/alpha/SKILL.md", _skill("alpha", f"Step {step}."))
        repo.write(f"skills/beta/notes/{step}.md", f"Note {step}.\n")
        repo.commit(f"Change {step}")
    repo.write("skills/gamma/SKILL.md", "# gamma has lost its frontmatter\n")
    repo.commit("Break gamma")
    repo.write("README.md", "Nothing about skills.\n")
    repo.commit("Only the README")
    repo.write("skills/gamma/SKILL.md", _skill("gamma", "Mended."))
    repo.commit("Mend gamma")
    repo.move("skills/delta", "team/delta")
    repo.commit("Move delta")
    repo.delete("skills/epsilon")
    repo.commit("Remove epsilon")
    repo.write("skills/epsilon/SKILL.md", _skill("epsilon", "Back."))
    repo.delete("skills/beta/notes")
    repo.commit("Bring epsilon back")
    return repo


def _skill(name: str, text: str) -> str:
    return f"---\nname: {name}\ndescription: Does {name}.\nversion: 1.0.0\n---\n{text}\n"
