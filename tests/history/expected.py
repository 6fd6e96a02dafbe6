"""What the volume must hold for a commit, read anew by plain git and yaml: no rule of the product vouches for itself."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.repos import git_environment

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SKILL_FILE_BYTES = 102_400
_FRONTMATTER = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)

Files = dict[str, str]
"""Path to git's id of the content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One skill of a commit: its files, and whether the rules let it through."""

    files: Files
    valid: bool


def git(repository: Path, *arguments: str) -> bytes:
    """Run git in a repository and return what it printed."""
    command = ["git", "-c", "core.quotepath=off", *arguments]
    return subprocess.run(command, cwd=repository, env=git_environment(), capture_output=True, check=True).stdout


def skills_of(repository: Path, commit: str) -> dict[str, Found]:
    """Read the skills of a commit. Where two folders have one name, the one nearer to the root counts.

    Args:
        repository: The repository, bare or not.
        commit: The commit.
    """
    lines = git(repository, "ls-tree", "-r", "-z", commit).decode().split("\0")[:-1]
    files = {path: meta.split()[2] for meta, path in (line.split("\t", 1) for line in lines)}
    folders = sorted(
        {path.rpartition("/")[0] for path in files if path.endswith("/SKILL.md")},
        key=lambda folder: (folder.count("/"), folder),
    )
    found: dict[str, Found] = {}
    for folder in (each for each in folders if not any(each.startswith(f"{other}/") for other in folders)):
        below = {path.removeprefix(f"{folder}/"): blob for path, blob in files.items() if path.startswith(f"{folder}/")}
        text = git(repository, "cat-file", "blob", below["SKILL.md"])
        found.setdefault(folder.rpartition("/")[2], Found(files=below, valid=_is_valid(text)))
    return found


def on_volume(skills: Mapping[str, Files]) -> Files:
    """Return every file that both layouts hold for these skills."""
    tree = {f"{name}/{path}": blob for name, files in skills.items() for path, blob in files.items()}
    return tree | {f"{name}.md": files["SKILL.md"] for name, files in skills.items()}


def read_volume(root: Path) -> Files:
    """Read every file of the skills folder but the reload mark; what vanishes meanwhile is not in it."""
    found: Files = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder) / name
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue
            found[str(path.relative_to(root))] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 - git's own ids
    found.pop(".reload", None)
    return found


def _is_valid(data: bytes) -> bool:
    try:
        match = _FRONTMATTER.match(data.decode())
        # Of a BaseLoader only texts, lists and mappings come, so nothing in the file can run.
        matter = yaml.BaseLoader(match[1]).get_single_data() if match else None
    except (UnicodeDecodeError, yaml.YAMLError):
        return False
    named = isinstance(matter, dict) and all(str(matter.get(key) or "").strip() for key in ("name", "description"))
    return named and len(data) <= MAX_SKILL_FILE_BYTES
