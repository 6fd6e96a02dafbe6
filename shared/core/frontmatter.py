"""Frontmatter as a tree of strings, read from YAML events under caps. What its members must be is `rules`' business.

Foreign YAML is never loaded or composed: merge keys explode, brackets crash libyaml's composer, `1.10` becomes a float and
duplicate keys silently win. Events have none of these faults, and a string stays the string that its author wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yaml.events import Event

MAX_BYTES = 16 * 1024
MAX_DEPTH = 16
MAX_EVENTS = 4000

Tree = str | list["Tree"] | dict[str, "Tree"]
"""A YAML document in which every scalar is the text that stands in the file; a null is the empty text."""

_OPENING = re.compile(rb"\A---[ \t]*\r?\n")
_CLOSING = re.compile(rb"^---[ \t]*\r?$", re.MULTILINE)
_BOM = b"\xef\xbb\xbf"
_LINE_BREAKS_OF_YAML_1_1 = re.compile("[\u0085\u2028\u2029]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# The value begins with no blank: one that could be told from the blanks before it in many ways is matched in many ways.
_UNQUOTED_COLON = re.compile(r"^([A-Za-z_-]{1,40}):[ \t]+[^ \t\"'|>\[{&*!%@`#\r\n][^\r\n]*:[ \t]")


class FrontmatterError(Exception):
    """The frontmatter cannot be read.

    Args:
        code: The rule that it breaks.
        line: Counted from 1 in the whole file; 0 where no line can be named.
        unquoted: The key whose value holds a colon and lacks quotes, where that is the fault. The value itself is not
            repeated: it may hold a secret, and findings are stored and sent.
    """

    def __init__(self, code: str, line: int, unquoted: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.line = line
        self.unquoted = unquoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontmatter:
    """The members of a frontmatter, and the line (counted from 1 in the file) of each top-level one."""

    members: dict[str, Tree]
    lines: dict[str, int]

    def text(self, *keys: str) -> str | None:
        """Return the string that stands below these keys, None where there is none."""
        value: Tree = self.members
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return None
            value = value[key]
        return value if isinstance(value, str) else None


def read_frontmatter(data: bytes) -> Frontmatter:
    """Read the frontmatter of a skill file.

    Args:
        data: The whole file.

    Raises:
        FrontmatterError: `ENCODING_INVALID`, `FM_MISSING`, `FM_TOO_LARGE`, `FM_SYNTAX`, `FM_TOO_COMPLEX`, `FM_UNSAFE`.
    """
    body = data.removeprefix(_BOM)
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise FrontmatterError("ENCODING_INVALID", body.count(b"\n", 0, error.start) + 1) from None
    if b"\0" in body:
        raise FrontmatterError("ENCODING_INVALID", body.count(b"\n", 0, body.index(b"\0")) + 1)
    opening = _OPENING.match(body)
    if opening is None:
        raise FrontmatterError("FM_MISSING", 1)
    closing = _CLOSING.search(body, opening.end())
    if closing is None:
        raise FrontmatterError("FM_MISSING", 1)
    if closing.start() - opening.end() > MAX_BYTES:
        raise FrontmatterError("FM_TOO_LARGE", 1)
    return read_yaml(body[opening.end() : closing.start()].decode(), first_line=2)


def read_yaml(text: str, *, first_line: int = 1) -> Frontmatter:
    """Read one YAML document whose top is a mapping.

    Args:
        text: At most 16 KiB.
        first_line: The line of the file on which `text` begins.

    Raises:
        FrontmatterError: as `read_frontmatter`.
    """
    if len(text) > MAX_BYTES:
        raise FrontmatterError("FM_TOO_LARGE", first_line)
    unsafe = _LINE_BREAKS_OF_YAML_1_1.search(text)
    if unsafe is not None:
        raise FrontmatterError("FM_UNSAFE", first_line + text.count("\n", 0, unsafe.start()))
    try:
        return _Builder(first_line).build(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _syntax_error(text, first_line, 0 if mark is None else mark.line) from None
    except yaml.YAMLError:
        raise FrontmatterError("FM_SYNTAX", first_line) from None


def _syntax_error(text: str, first_line: int, offset: int) -> FrontmatterError:
    # libyaml reports where it stumbled, often a line late: the unquoted colon (58 of 71 real errors) is looked for there.
    lines = text.splitlines()
    for number in (offset, offset - 1):
        match = _UNQUOTED_COLON.match(lines[number]) if 0 <= number < len(lines) else None
        if match is not None:
            return FrontmatterError("FM_SYNTAX", first_line + number, match[1])
    return FrontmatterError("FM_SYNTAX", first_line + min(offset, max(len(lines) - 1, 0)))


class _Builder:
    """Builds the tree from events, counting as it goes."""

    def __init__(self, first_line: int) -> None:
        self._first_line = first_line
        self._events = 0
        self._documents = 0
        self._lines: dict[str, int] = {}

    def build(self, events: Iterator[Event]) -> Frontmatter:
        """Consume all events of a stream of one document."""
        top: Tree = {}
        for event in self._counted(events):
            if isinstance(event, DocumentStartEvent):
                self._documents += 1
                if self._documents > 1:
                    raise FrontmatterError("FM_TOO_COMPLEX", self._line(event))
            elif isinstance(event, NodeEvent):
                top = self._node(event, events, 0)
                if not isinstance(top, dict) and top != "":
                    raise FrontmatterError("FM_SYNTAX", self._line(event))
        return Frontmatter(members=top if isinstance(top, dict) else {}, lines=self._lines)

    def _counted(self, events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            self._events += 1
            if self._events > MAX_EVENTS:
                raise FrontmatterError("FM_TOO_COMPLEX", self._line(event))
            yield event

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise FrontmatterError("FM_TOO_COMPLEX", self._line(event))
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise FrontmatterError("FM_UNSAFE", self._line(event))
        if isinstance(event, ScalarEvent):
            # Plain, these words mean that there is nothing; in quotes they are texts.
            return "" if event.implicit[0] and event.value in _NULLS else str(event.value)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, depth)
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, depth)
        raise FrontmatterError("FM_SYNTAX", self._line(event))

    def _sequence(self, events: Iterator[Event], depth: int) -> list[Tree]:
        items: list[Tree] = []
        for event in self._counted(events):
            if isinstance(event, SequenceEndEvent):
                break
            items.append(self._node(event, events, depth + 1))
        return items

    def _mapping(self, events: Iterator[Event], depth: int) -> dict[str, Tree]:
        members: dict[str, Tree] = {}
        counted = self._counted(events)
        for event in counted:
            if isinstance(event, MappingEndEvent):
                break
            # `<<` merges in YAML 1.1: no honest skill file has it, and what it means depends on the reader.
            merges = isinstance(event, ScalarEvent) and event.value == "<<" and event.implicit[0]
            key = self._node(event, events, depth + 1) if isinstance(event, ScalarEvent) else None
            if not isinstance(key, str) or key in members or merges:
                raise FrontmatterError("FM_UNSAFE", self._line(event))
            if depth == 0:
                self._lines[key] = self._line(event)
            members[key] = self._node(next(counted), events, depth + 1)
        return members

    def _line(self, event: Event) -> int:
        return self._first_line + (event.start_mark.line if event.start_mark is not None else 0)
