"""The whole listing of a commit: in one request, or, where the API cuts that short, folder by folder and only what is new.

    whole tree, recursive ── truncated ──▶ the root's own entries ──▶ each folder that is not known yet, recursive ──▶ …

Source: https://docs.github.com/en/rest/git/trees#get-a-tree
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from shared.adapters.github_body import Budget
from shared.adapters.github_faults import ABSENT, corrupt
from shared.adapters.github_tree import (
    MAX_ENTRIES,
    MAX_PATH_CHARS,
    Listing,
    MalformedTreeError,
    is_id,
    parse_listing,
    too_large,
)
from shared.errors import UnavailableError
from shared.model import Kind, TreeEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from shared.adapters.github_api import Api
    from shared.model import CommitSha
    from shared.ports import Together

TREE_BYTES: Final = 32 * 2**20
MAX_REQUESTS: Final = 300
"""The most that one listing, or one call of `blobs`, may cost; beyond that the git protocol is cheaper."""
CACHED_ENTRIES: Final = 200_000


class TreeCache:
    """What folders hold, by their ids, for all syncs of a process: an id never gets another content.

    Args:
        limit: How many entries are kept in all; those used longest ago go first.
    """

    def __init__(self, limit: int = CACHED_ENTRIES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._held: OrderedDict[str, Listing] = OrderedDict()
        self._entries = 0

    def get(self, tree: str) -> Listing | None:
        """Return what is known of a folder: all below it, or, when not complete, only its own entries."""
        with self._lock:
            if tree in self._held:
                self._held.move_to_end(tree)
            return self._held.get(tree)

    def put(self, tree: str, listing: Listing) -> None:
        """Remember a folder; an empty one counts as one entry."""
        with self._lock:
            if tree in self._held:
                return
            self._held[tree] = listing
            self._entries += max(len(listing.entries), 1)
            while self._entries > self._limit:
                self._entries -= max(len(self._held.popitem(last=False)[1].entries), 1)


class TreeWalk:
    """Lists one commit's tree.

    Args:
        api: The repository.
        together: Asks for folders side by side.
        cache: What earlier walks have learned.
    """

    def __init__(self, api: Api, together: Together, cache: TreeCache) -> None:
        self._api = api
        self._together = together
        self._cache = cache
        self._requests = itertools.count(1)

    def listing(self, commit: CommitSha) -> list[TreeEntry]:
        """List every entry, folders included, in git's order.

        Raises:
            UnavailableError: `SOURCE_CORRUPT`; `SOURCE_UNAVAILABLE` also when this takes too many requests.
            RejectedError: `SOURCE_TOO_LARGE`.
        """
        whole = self._ask(commit, is_commit=True, recursive=True)
        if whole.complete:
            return _bounded(whole.entries)
        root = self._ask(commit, is_commit=True, recursive=False)
        if not root.complete:
            raise self._endless()
        known: dict[str, Listing] = {}
        missing = _folders(root)
        while missing:
            found = self._together([lambda tree=tree: self._folder(tree) for tree in missing])  # type: ignore[misc]
            known.update(zip(missing, found, strict=True))
            inner = itertools.chain.from_iterable(_folders(listing) for listing in found if not listing.complete)
            missing = [tree for tree in dict.fromkeys(inner) if tree not in known]
        return _bounded(_expanded(replace(root, complete=False), known))

    def _folder(self, tree: str) -> Listing:
        """Return what a folder holds: all of it, or its own entries where that is too much for one answer."""
        listing = self._cache.get(tree)
        if listing is None:
            listing = self._ask(tree, is_commit=False, recursive=True)
            if not listing.complete:
                own = self._ask(tree, is_commit=False, recursive=False)
                if not own.complete:
                    raise self._endless()
                listing = replace(own, complete=False)
            self._cache.put(tree, listing)
        return listing

    def _ask(self, name: str, *, is_commit: bool, recursive: bool) -> Listing:
        api = self._api
        if next(self._requests) > MAX_REQUESTS:
            raise self._endless()
        if not is_id(name):
            raise corrupt(api.where, "expected an id of 40 hex digits")
        path = f"/git/trees/{name}" + ("?recursive=1" if recursive else "")
        document = api.get_object(path, budget=Budget(TREE_BYTES, api.where), also=ABSENT)
        if document is None:
            raise corrupt(api.where, f"it does not have the tree {name}")
        try:
            return parse_listing(document, asked=name, is_commit=is_commit, recursive=recursive)
        except MalformedTreeError as error:
            raise corrupt(api.where, f"the listing of {name} is wrong: {error}") from None

    def _endless(self) -> UnavailableError:
        message = f"{self._api.where} cannot be listed in {MAX_REQUESTS} requests"
        return UnavailableError("SOURCE_UNAVAILABLE", message)


def _folders(listing: Listing) -> list[str]:
    return list(dict.fromkeys(entry.id for entry in listing.entries if entry.kind is Kind.FOLDER))


def _expanded(listing: Listing, known: Mapping[str, Listing], prefix: str = "") -> Iterator[TreeEntry]:
    """Yield a listing with everything below its folders, each behind its folder."""
    for entry in listing.entries:
        path = prefix + entry.path
        yield replace(entry, path=path)
        if entry.kind is Kind.FOLDER and not listing.complete:
            yield from _expanded(known[entry.id], known, f"{path}/")


def _bounded(entries: Iterable[TreeEntry]) -> list[TreeEntry]:
    """Collect entries; few folders can make an endless listing, as they may be named many times."""
    found: list[TreeEntry] = []
    chars = 0
    for entry in entries:
        found.append(entry)
        chars += len(entry.path)
        if len(found) > MAX_ENTRIES or chars > MAX_PATH_CHARS:
            raise too_large()
    return found
