"""A repository in memory behind the `Source` port, with git's own ids; it leaves packs and protocols to the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dulwich.objects import Blob, Tree

from shared.core.git_objects import blob_id
from shared.model import BlobId, CommitSha, Kind, Standing, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MODES = {Kind.FILE: 0o100644, Kind.EXECUTABLE: 0o100755, Kind.SYMLINK: 0o120000, Kind.SUBMODULE: 0o160000}

Files = dict[str, bytes]


class MemoryRepository:
    """Commits with their files. `head` is the branch head; commits are named by their number."""

    def __init__(self) -> None:
        self.head = CommitSha("")
        self._files: dict[CommitSha, Files] = {}
        self._parents: dict[CommitSha, CommitSha | None] = {}
        self._listings: dict[CommitSha, list[TreeEntry]] = {}

    def commit(self, files: Files, *, parent: CommitSha | None = None) -> CommitSha:
        """Make a commit with exactly these files on top of `parent` (default: the head) and move the head to it."""
        commit = CommitSha(f"{len(self._files) + 1:040x}")
        self._files[commit] = dict(files)
        self._parents[commit] = parent or self.head or None
        self.head = commit
        return commit

    def files(self, commit: CommitSha) -> Files:
        """Return a copy of a commit's files."""
        return dict(self._files[commit])

    def ancestors(self, commit: CommitSha) -> list[CommitSha]:
        """List the commits that `commit` descends from, itself first."""
        chain: list[CommitSha] = []
        step: CommitSha | None = commit
        while step:
            chain.append(step)
            step = self._parents[step]
        return chain

    def knows(self, commit: CommitSha) -> bool:
        return commit in self._files

    def listing(self, commit: CommitSha) -> list[TreeEntry]:
        if commit not in self._listings:
            entries: list[TreeEntry] = []
            _tree(self._files[commit], "", entries)
            self._listings[commit] = sorted(entries, key=lambda entry: entry.path)
        return self._listings[commit]


class MemorySource:
    """The `Source` port over a `MemoryRepository`. `asked` counts calls and lists the blobs that were asked for."""

    def __init__(self, repository: MemoryRepository) -> None:
        self.repository = repository
        self.asked: list[str] = []
        self.blobs_asked: list[str] = []

    def head(self, known: CommitSha | None) -> CommitSha:
        del known
        self.asked.append("head")
        return self.repository.head

    def listing(self, commit: CommitSha) -> list[TreeEntry]:
        self.asked.append("listing")
        return self.repository.listing(commit)

    def blobs(self, commit: CommitSha, entries: Sequence[TreeEntry]) -> Mapping[BlobId, bytes]:
        self.asked.append("blobs")
        self.blobs_asked += [entry.path for entry in entries]
        wanted = {entry.id for entry in entries}
        contents = {blob_id(data): data for data in self.repository.files(commit).values()}
        return {key: data for key, data in contents.items() if key in wanted}

    def compare(self, base: CommitSha, head: CommitSha) -> Standing:
        self.asked.append("compare")
        if base == head:
            return Standing.IDENTICAL
        if not (self.repository.knows(base) and self.repository.knows(head)):
            return Standing.UNKNOWN
        if base in self.repository.ancestors(head):
            return Standing.AHEAD
        return Standing.BEHIND if head in self.repository.ancestors(base) else Standing.DIVERGED


def _tree(files: Mapping[str, bytes], prefix: str, entries: list[TreeEntry]) -> Tree:
    tree = Tree()
    folders: dict[str, Files] = {}
    for path, data in files.items():
        name, slash, rest = path.partition("/")
        if slash:
            folders.setdefault(name, {})[rest] = data
        else:
            blob = Blob.from_string(data)
            tree.add(name.encode(), _MODES[Kind.FILE], blob.id)
            entries.append(TreeEntry(path=prefix + name, kind=Kind.FILE, id=blob.id.decode(), size=len(data)))
    for name, below in folders.items():
        child = _tree(below, f"{prefix}{name}/", entries)
        tree.add(name.encode(), 0o040000, child.id)
        entries.append(TreeEntry(path=prefix + name, kind=Kind.FOLDER, id=child.id.decode()))
    return tree
