"""What the stand-in's REST API shows of a bare repository, read by the real git."""

from __future__ import annotations

import re
import subprocess
import threading
from typing import TYPE_CHECKING

from tests.repos import git_environment

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, object]
_ID = re.compile(r"[0-9a-f]{40}")
_KEPT_BYTES = 16 * 2**20


class GitError(Exception):
    """Git refuses: mostly there is no such object."""


class GitReads:
    """One bare repository.

    Args:
        bare: Its folder.
    """

    def __init__(self, bare: Path) -> None:
        self.bare = bare
        self._kept: dict[tuple[str, ...], bytes] = {}
        self._room = _KEPT_BYTES
        self._lock = threading.Lock()

    def git(self, *args: str) -> bytes:
        """Run git and return what it printed.

        Raises:
            GitError: it failed.
        """
        command = ["git", "-c", "core.quotepath=off", *args]
        run = subprocess.run(command, cwd=self.bare, env=git_environment(), capture_output=True, check=False)
        if run.returncode:
            raise GitError(run.stderr.decode(errors="replace"))
        return run.stdout

    def _of_object(self, name: str, *args: str) -> bytes:
        """Run git on an object; of one that is named by its id, it says the same forever, so it is only asked once."""
        if not _ID.fullmatch(name):
            return self.git(*args)
        with self._lock:
            kept = self._kept.get(args)
        if kept is None:
            kept = self.git(*args)
            with self._lock:
                if args not in self._kept and len(kept) <= self._room:
                    self._kept[args] = kept
                    self._room -= len(kept)
        return kept

    def refs(self) -> dict[str, str]:
        """Every reference with the object that it names."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").decode().splitlines()
        return dict(line.split(" ", 1) for line in lines)

    def default_branch(self) -> str:
        """The branch that HEAD names."""
        return self.git("symbolic-ref", "--short", "HEAD").decode().strip()

    def find(self, ref: str) -> tuple[str, str]:
        """Resolve what GitHub takes for a commit: its id, `heads/x`, `tags/x`, a branch's or tag's name, or `HEAD`.

        Returns:
            The full name of the reference, empty for an id, and the commit.

        Raises:
            GitError: there is no such commit.
        """
        if ref == "HEAD":
            ref = f"heads/{self.default_branch()}"
        names = (
            [f"refs/{ref}"] if ref.startswith(("heads/", "tags/")) else [f"refs/heads/{ref}", f"refs/tags/{ref}", ref]
        )
        for name in names:
            try:
                commit = (
                    self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
                    .decode()
                    .strip()
                )
            except GitError:
                continue
            return (name if name.startswith("refs/") else ""), commit
        raise GitError(ref)

    def commit(self, commit: str) -> Json:
        """Describe a commit as `GET /repos/…/commits/…` does, without its files."""
        tree, parents, message = self.git("show", "-s", "--format=%T%n%P%n%B", commit).decode().split("\n", 2)
        return {
            "sha": commit,
            "commit": {"message": message.rstrip("\n"), "tree": {"sha": tree}},
            "parents": [{"sha": parent} for parent in parents.split()],
        }

    def tree(self, name: str, *, recursive: bool) -> tuple[str, list[Json]]:
        """List a tree or a commit's tree.

        Returns:
            The tree's id, and its entries in GitHub's form and git's order.
        """
        args = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{tree}}")
        tree = self._of_object(name, *args).decode().strip()
        flags = ["-r", "-t"] if recursive else []
        lines = self._of_object(tree, "ls-tree", "-l", "-z", *flags, tree).split(b"\0")[:-1]
        return tree, [_entry(line) for line in lines]

    def blob(self, name: str) -> bytes:
        """Read a blob's content."""
        return self._of_object(name, "cat-file", "blob", name)

    def compare(self, base: str, head: str) -> tuple[str, int, int]:
        """Say how `head` stands to `base`: the status, and by how many commits it is ahead and behind.

        Raises:
            GitError: one is not known, or they have no common ancestor.
        """
        _, old = self.find(base)
        _, new = self.find(head)
        self.git("merge-base", old, new)
        behind, ahead = map(int, self.git("rev-list", "--left-right", "--count", f"{old}...{new}").split())
        status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}.get(
            (bool(ahead), bool(behind)), "diverged"
        )
        return status, ahead, behind

    def changed(self, base: str, head: str, most: int) -> list[Json]:
        """List files that differ, as compare does, without their patches."""
        lines = self.git("diff", "--name-status", "--no-renames", "-z", f"{base}...{head}").decode(errors="replace")
        parts = lines.split("\0")[:-1]
        words = {"A": "added", "D": "removed"}
        pairs = list(zip(parts[::2], parts[1::2], strict=True))[:most]
        return [{"filename": path, "status": words.get(status, "modified")} for status, path in pairs]

    def archive(self, commit: str, prefix: str) -> bytes:
        """Pack a commit as GitHub's tarballs are: by `git archive`, attributes and all."""
        return self.git("archive", "--format=tar.gz", f"--prefix={prefix}/", commit)


def _entry(line: bytes) -> Json:
    meta, _, path = line.partition(b"\t")
    mode, kind, sha, size = meta.decode().split()
    entry: Json = {"path": path.decode(errors="replace"), "mode": mode, "type": kind, "sha": sha}
    return entry if size == "-" else {**entry, "size": int(size)}
