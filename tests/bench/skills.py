"""The made-up skills of the benchmark: three files each, about six kilobytes, and each number always the same ones."""

from __future__ import annotations


def skill_id(number: int) -> str:
    """Return the id of a skill."""
    return f"skill-{number:04d}"


def skill_files(number: int, text: str = "The first text.") -> dict[str, str]:
    """Return path (from the repository's root) to text of a skill whose SKILL.md says this."""
    name = skill_id(number)
    return {
        f"{name}/SKILL.md": skill_file(number, text),
        f"{name}/reference.md": f"# Reference of {name}\n" + "Some explanation that an agent may read.\n" * 40,
        f"{name}/scripts/run.py": f'"""Runs {name}."""\n' + "print('one more line of a script')\n" * 20,
    }


def skill_file(number: int, text: str) -> str:
    """Return a SKILL.md that says this."""
    name = skill_id(number)
    head = f"---\nname: {name}\ndescription: Does what {name} does.\nversion: 1.0.0\n---\n\n# {name}\n\n{text}\n\n"
    return head + "Do this first, then that, and say what came of it.\n" * 60
