"""A manifest read skill by skill from its canonical bytes, and what differs between two, without loading either.

With 10,000 skills a manifest has 6 MB, and one push changes a few hundred bytes of it: what stands in both, byte for byte,
was checked when the older one was accepted and is only compared. What the members mean is left to `manifest`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import TYPE_CHECKING

from shared.core.canonical import parse_object
from shared.core.manifest import parse_manifest, parse_skill
from shared.errors import InputError
from shared.model import SkillId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from mmap import mmap

    from shared.model import LiveSkill, Manifest

# A quote inside a string is escaped, and behind a string's last quote no letter stands: these patterns are found in the
# structure only. Where a hostile manifest has them elsewhere, what is cut there is no JSON and is refused.
_KEY = re.compile(rb'"([a-z0-9]+(?:-[a-z0-9]+)*)":(?=\{"archive":)')
_BETWEEN = re.compile(rb'\},(?="[a-z0-9][a-z0-9-]*":\{"archive":)')
_OPENING = b'"skills":{'
_CLOSING = b'},"withheld":{'
_STEP_BYTES = 4096
_LONGEST_STEP_BYTES = 256 * 1024
_FINE_BYTES = 256
_NEAR_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Difference:
    """One skill that is not the same in two manifests; None where it is missing."""

    id: SkillId
    old: LiveSkill | None
    new: LiveSkill | None


class ManifestView:
    """A manifest's bytes.

    Args:
        data: The bytes, which the caller has compared with a verified digest; they are not copied.

    Raises:
        InputError: `MANIFEST_INVALID`, these are not a canonical manifest's bytes; other codes as for `parse_manifest`.
    """

    def __init__(self, data: bytes | bytearray | mmap) -> None:
        self.data = data
        opening = data.find(_OPENING)
        self.first = opening + len(_OPENING)
        # Behind the last skill two objects end at once, which happens nowhere before.
        is_empty = data[self.first : self.first + len(_CLOSING)] == _CLOSING
        self.end = self.first if is_empty else data.find(b"}" + _CLOSING, self.first) + 1
        if opening < 0 or self.end == 0:
            raise _invalid("expected the members 'skills' and 'withheld' in canonical form")

    def head(self) -> Manifest:
        """Read everything but the skills, and check it as `parse_manifest` does."""
        return parse_manifest(bytes(self.data[: self.first]) + bytes(self.data[self.end :]))

    def key(self, at: int) -> bytes | None:
        """Return the id of the skill whose entry begins there; None where the skills end.

        Raises:
            InputError: `MANIFEST_INVALID`, no entry begins there.
        """
        if at == self.end:
            return None
        found = _KEY.match(self.data, at)
        if found is None:
            raise _invalid("a live skill's id is a slug, and its entry begins with its archive")
        return found[1]

    def behind(self, at: int) -> int:
        """Return where the entry that begins there ends: behind its last brace."""
        found = _BETWEEN.search(self.data, at, self.end)
        return self.end if found is None else found.start() + 1

    def following(self, at: int) -> int:
        """Return where the entry behind the one that begins there begins, or `end`."""
        behind = self.behind(at)
        return behind if behind == self.end else behind + 1

    def text(self, at: int) -> bytes:
        """Return the entry's JSON object."""
        found = _KEY.match(self.data, at)
        return b"" if found is None else bytes(self.data[found.end() : self.behind(at)])

    def skill(self, at: int) -> LiveSkill:
        """Read the skill whose entry begins there, and check it as `parse_manifest` does."""
        key = SkillId((self.key(at) or b"").decode())
        return parse_skill(key, parse_object(self.text(at), what=key))

    def position(self, key: SkillId) -> int | None:
        """Return where a skill's entry begins."""
        # A slug that ends like this one has no quote before the common part.
        entry = b'"%s":{"archive":' % key.encode()
        low, high = self._around(key.encode())
        at = self.data.find(entry, low, min(self.end, high + len(entry)))
        if at < 0:
            # Not there, or not where the order has it, which nobody may have checked yet.
            at = self.data.find(entry, self.first, self.end)
        return None if at < 0 else at

    def _around(self, key: bytes) -> tuple[int, int]:
        """Halve the manifest until the place where the order has this skill is near."""
        low, high = self.first, self.end
        while high - low > _NEAR_BYTES:
            found = _BETWEEN.search(self.data, (low + high) // 2, self.end)
            entry = None if found is None or found.end() >= high else _KEY.match(self.data, found.end())
            if entry is None:
                break
            low, high = (entry.start(), high) if entry[1] <= key else (low, entry.start())
        return low, high

    def find(self, key: SkillId) -> LiveSkill | None:
        """Read one skill by its id."""
        at = self.position(key)
        return None if at is None else self.skill(at)

    def starts(self) -> Iterator[int]:
        """Yield where each entry begins, in order.

        Raises:
            InputError: `MANIFEST_INVALID`, while iterating: two have one id, or they are not in order.
        """
        at, last = self.first, b""
        while (key := self.key(at)) is not None:
            if key <= last:
                raise _invalid("the skills are not in order")
            yield at
            at, last = self.following(at), key

    def skills(self) -> Iterator[LiveSkill]:
        """Yield all skills in the order of their ids."""
        return (self.skill(at) for at in self.starts())


def differences(old: ManifestView | None, new: ManifestView) -> Iterator[Difference]:
    """Yield what differs, in the order of the ids.

    When this has been iterated to its end, every entry of `new` was either read and checked or is, byte for byte, one of
    `old` in the same order.

    Args:
        old: A manifest that was checked before; None is one without skills.
        new: A manifest whose digest was verified.

    Raises:
        InputError: while iterating, as for `parse_manifest`.
    """
    if old is None:
        yield from (Difference(skill.id, None, skill) for skill in new.skills())
        return
    left, right, last = old.first, new.first, b""
    while True:
        left, right, last = _skip(old, left, new, right, last)
        was, now = old.key(left), new.key(right)
        if was is None and now is None:
            return
        if now is not None and now <= last:
            raise _invalid("the skills are not in order")
        goes = was is not None and (now is None or was <= now)
        comes = now is not None and (was is None or now <= was)
        if not (goes and comes and old.text(left) == new.text(right)):
            key = SkillId(((was if goes else now) or b"").decode())
            yield Difference(key, old.skill(left) if goes else None, new.skill(right) if comes else None)
        last = (now or last) if comes else last
        left = old.following(left) if goes else left
        right = new.following(right) if comes else right


def together(views: Sequence[ManifestView]) -> Iterator[tuple[SkillId, tuple[LiveSkill | None, ...]]]:
    """Yield each id that any of these has, in order, with what each of them says of it."""

    def numbered(number: int, view: ManifestView) -> Iterable[tuple[SkillId, int, LiveSkill]]:
        return ((skill.id, number, skill) for skill in view.skills())

    rows = merge(*(numbered(number, view) for number, view in enumerate(views)), key=lambda row: row[:2])
    for key, group in groupby(rows, key=lambda row: row[0]):
        held = {number: skill for _, number, skill in group}
        yield key, tuple(held.get(number) for number in range(len(views)))


def _skip(old: ManifestView, left: int, new: ManifestView, right: int, last: bytes) -> tuple[int, int, bytes]:
    """Skip entries that are the same in both; returns where the first other ones begin, and the last id before it."""
    same = _common(old, left, new, right)
    if old.end - left == new.end - right == same:
        return old.end, new.end, last
    ahead = _last_start(old, left, left + same) - left
    if ahead <= 0 or not _KEY.match(new.data, right + ahead):
        return left, right, last
    if (new.key(right) or b"") <= last:
        raise _invalid("the skills are not in order")
    return left + ahead, right + ahead, old.key(_last_start(old, left, left + ahead - 1)) or b""


def _last_start(view: ManifestView, first: int, limit: int) -> int:
    """Return where the last entry begins that begins before `limit`, or `first`."""
    at = limit
    while (at := view.data.rfind(b'},"', first, at)) >= 0:
        if _KEY.match(view.data, at + len(b"},")):
            return at + len(b"},")
    return first


def _common(old: ManifestView, left: int, new: ManifestView, right: int) -> int:
    """Return how many bytes are surely the same from there on; in the last few hundred it may say too little."""
    length = min(old.end - left, new.end - right)
    same, step = 0, _STEP_BYTES
    while same < length:
        size = min(step, length - same)
        if old.data[left + same : left + same + size] == new.data[right + same : right + same + size]:
            same += size
            step = min(2 * step, _LONGEST_STEP_BYTES)
        elif size <= _FINE_BYTES:
            break
        else:
            step = size // 2
    return same


def _invalid(message: str) -> InputError:
    return InputError("MANIFEST_INVALID", message)
