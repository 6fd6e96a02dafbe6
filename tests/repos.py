"""Small git repositories for tests, made by the real git, the same bytes on every machine.

    repo = Repo(tmp_path / "origin")
    repo.write("skills/hello/SKILL.md", "---\nname: hello\n---\n")
    first = repo.commit("Add hello")

Changes are staged as they are made and belong to the next `commit`. Author, committer and dates are fixed (each commit
is one minute younger than the one before), and nobody's own git configuration is read: the same steps, the same ids.
"""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def git_environment(**extra: str) -> dict[str, str]:
    """Return an environment for git that knows no configuration but the repository's own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return clean | {
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Ada Author",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_COMMITTER_NAME": "Ada Author",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        **extra,
    }


class Repo:
    """A repository with a work tree and the branch `main`, created empty at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._commits = 0
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *args: str | bytes, data: bytes = b"") -> str:
        """Run git in the repository and return what it printed, without the last newline; fails when git fails."""
        date = (_EPOCH + timedelta(minutes=self._commits)).isoformat()
        env = git_environment(GIT_AUTHOR_DATE=date, GIT_COMMITTER_DATE=date)
        command = ["git", "-c", "gc.auto=0", "-c", "maintenance.auto=false", *args]
        run = subprocess.run(command, cwd=self.path, env=env, input=data, capture_output=True, check=False)
        assert run.returncode == 0, f"git {args}: {run.stderr.decode(errors='replace')}"
        return run.stdout.decode(errors="backslashreplace").rstrip("\n")

    def write(self, path: str | bytes, data: str | bytes, *, executable: bool = False) -> None:
        """Write one file, making its folders. Bytes as path may be anything that git and the file system take."""
        file = os.path.join(os.fsencode(self.path), os.fsencode(path))  # noqa: PTH118 - Path takes no bytes
        os.makedirs(os.path.dirname(file), exist_ok=True)  # noqa: PTH103, PTH120 - the same
        with open(file, "wb") as stream:  # noqa: PTH123 - the same
            stream.write(data.encode() if isinstance(data, str) else data)
        self.git("add", "--chmod=+x" if executable else "--chmod=-x", "--", path)

    def write_all(self, files: Mapping[str, str | bytes]) -> None:
        """Write many plain files at once, path to content."""
        for path, data in files.items():
            file = self.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data.encode() if isinstance(data, str) else data)
        self.git("add", "--pathspec-from-file=-", "--pathspec-file-nul", data="\0".join(files).encode())

    def symlink(self, path: str, target: str) -> None:
        """Put a symbolic link at `path`."""
        self._stage("120000", self.git("hash-object", "-w", "--stdin", data=target.encode()), path)

    def submodule(self, path: str, commit: str) -> None:
        """Put a submodule (a bare gitlink, no .gitmodules) at `path`; the commit need not exist."""
        self._stage("160000", commit, path)

    def delete(self, path: str) -> None:
        """Remove a file, or a folder with everything below."""
        self.git("rm", "-r", "-q", "-f", "--", path)

    def move(self, old: str, new: str) -> None:
        """Rename a file or folder."""
        (self.path / new).parent.mkdir(parents=True, exist_ok=True)
        self.git("mv", "--", old, new)

    def commit(self, message: str = "Change") -> str:
        """Commit what is staged, also when that is nothing, and return the new head's id."""
        self._commits += 1
        self.git("commit", "-q", "--allow-empty", "--no-verify", "-m", message)
        return self.head

    def switch(self, branch: str) -> None:
        """Go to a branch; it is created at the current head when it does not exist."""
        known = self.git("branch", "--list", "--format=%(refname:short)").splitlines()
        self.git("switch", "-q", *([branch] if branch in known else ["-c", branch]))

    def reset(self, commit: str) -> None:
        """Move the current branch to that commit, as a force-push does."""
        self.git("reset", "-q", "--hard", commit)

    def merge(self, branch: str) -> str:
        """Merge a branch into the current one by a merge commit and return that commit's id."""
        self._commits += 1
        self.git("merge", "-q", "--no-ff", "--no-verify", "-m", f"Merge {branch}", branch)
        return self.head

    @property
    def head(self) -> str:
        """The current commit's id."""
        return self.git("rev-parse", "HEAD")

    def id_of(self, path: str = "", commit: str = "HEAD") -> str:
        """Return git's id of a file or folder at that commit; the empty path is the root folder."""
        return self.git("rev-parse", f"{commit}:{path}")

    def mirror(self, path: Path) -> Path:
        """Make the bare repository at `path` an exact mirror of this one (as a force-push does) and return its path."""
        folder = self.path / ".git"
        if not path.exists():
            self.git("clone", "-q", "--mirror", ".", str(path))
        elif (folder / "packed-refs").exists() or any((folder / "refs/heads").iterdir()):
            self.git("push", "-q", "--mirror", "--force", str(path))
        if (folder / "HEAD").read_bytes() != (path / "HEAD").read_bytes():
            self.git("--git-dir", str(path), "symbolic-ref", "HEAD", self.git("symbolic-ref", "HEAD"))
        return path

    @staticmethod
    def bare(path: Path) -> None:
        """Make an empty bare repository at `path`, its default branch `main`."""
        path.mkdir(parents=True, exist_ok=True)
        command = ["git", "init", "-q", "--bare", "-b", "main"]
        subprocess.run(command, cwd=path, env=git_environment(), capture_output=True, check=True)

    def _stage(self, mode: str, id_: str, path: str) -> None:
        self.git("update-index", "--add", "--cacheinfo", f"{mode},{id_},{path}")
