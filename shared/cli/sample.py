"""The sample repository that `run` serves when no other is named: two good skills, and one that shows what withheld means."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from shared.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_FILES = {
    "README.md": "# Sample skills\n\nEach folder with a SKILL.md is a skill.\n",
    "skills/commit-messages/SKILL.md": """---
name: commit-messages
description: Write commit messages that say why. Use when asked to commit or to describe a change.
version: 1.0.0
---
# Commit messages

One line in the imperative, at most 72 characters; then a blank line; then why, not what.
""",
    "skills/word-count/SKILL.md": """---
name: word-count
description: Count words in a text file. Use when asked how long a text is.
version: 1.2.0
---
# Word count

Run `scripts/count.sh FILE`.
""",
    "skills/word-count/scripts/count.sh": '#!/bin/sh\nwc -w "$1"\n',
    "skills/unfinished/SKILL.md": "# Unfinished\n\nWithout frontmatter this skill is withheld until its author adds it.\n",
}
_EXECUTABLE = "skills/word-count/scripts/count.sh"


def make_sample(path: Path) -> None:
    """Create the sample repository, unless it is there already.

    Args:
        path: The folder of its work tree.

    Raises:
        ConfigError: `GIT_FAILED`, git is missing or refused.
    """
    if (path / ".git").exists():
        return
    for name, text in _FILES.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (path / _EXECUTABLE).chmod(0o755)
    person = ("-c", "user.name=skill-sync sample", "-c", "user.email=sample@example.com")
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), (*person, "commit", "-q", "-m", "Add sample skills")):
        git(path, *arguments)


def git(path: Path, *arguments: str) -> str:
    """Run git in a folder and return what it printed.

    Raises:
        ConfigError: `GIT_FAILED`.
    """
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607 - git is found on PATH, as the developer has it
            cwd=path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError("GIT_FAILED", f"git could not be run: {error}") from None
    if done.returncode != 0:
        raise ConfigError("GIT_FAILED", f"git {arguments[0]}: {done.stderr.strip()[:300]}")
    return done.stdout.strip()
