"""Lines that a person should read before an agent obeys them. They are warnings: honest skills install things, too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared.core.rules import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_HITS = 100
_CODE = "SUSPICIOUS_CONTENT"
_SHELL = r"(?:sudo[ \t]{1,4}(?:-\w{1,4}[ \t]{1,4})?)?(?:/(?:usr/)?bin/)?(?:env[ \t]{1,4})?(?:ba|z|da|k|fi)?sh\b"
_KEYS = re.compile(
    r"~/\.ssh|\.ssh/id_|\.aws/credentials|\.netrc|\.kube/config|\.docker/config\.json|/etc/shadow|\.gnupg"
)
_SENDING = re.compile(r"\b(?:curl|wget|nc|ncat|netcat|scp|rsync|requests\.post|httpx\.post|fetch)\b")
_NEAR_LINES = 3
_IGNORE = re.compile(
    r"(?:ignore|disregard|forget)[ \t]{1,4}(?:all[ \t]{1,4})?(?:of[ \t]{1,4})?(?:the[ \t]{1,4}|your[ \t]{1,4})?"
    r"(?:previous|prior|above|earlier)[ \t]{1,4}(?:instructions|prompts|messages|rules)"
)

# Kind, a word without which the pattern cannot match, and the pattern. All are of texts in lower case: a pattern that begins
# with plain letters, and has no cases to fold, is found many times faster.
_LINES: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    *(
        (
            "a download piped to a shell",
            loader,
            re.compile(
                rf"{loader}\b[^\n|]{{0,200}}\|[ \t]{{0,4}}(?:{_SHELL}|(?:sudo[ \t]{{1,4}})?python3?\b|perl\b|node\b)"
            ),
        )
        for loader in ("curl", "wget")
    ),
    *(
        (
            "a download run by a shell",
            begin,
            re.compile(rf"{re.escape(begin)}[ \t]{{0,4}}(?:curl|wget)\b"),
        )
        for begin in ("bash <(", "sh <(", 'sh -c "$(', "sh -c '$(", "sh -c $(")
    ),
    (
        "base64 piped to a shell",
        "base64",
        re.compile(rf"base64[ \t]{{1,4}}(?:-d|--decode)\b[^\n|]{{0,200}}\|[ \t]{{0,4}}{_SHELL}"),
    ),
    ("a reverse shell", "/dev/tcp/", re.compile(r"/dev/tcp/[^\s/]{1,200}/\d{1,5}")),
    ("a reverse shell", "/dev/udp/", re.compile(r"/dev/udp/[^\s/]{1,200}/\d{1,5}")),
    *(
        (
            "a reverse shell",
            f"{tool} ",
            re.compile(rf"{tool} (?<![\w-]{tool} )[^\n]{{0,120}}-[a-z]{{0,4}}[ec][ \t]{{1,4}}(?:/\w|cmd|bash|sh)"),
        )
        for tool in ("nc", "ncat", "netcat")
    ),
    ("a reverse shell", "dup2(", re.compile(r"dup2\([^\n]{0,80}fileno\(\)")),
)


def find_suspicious(text: str) -> list[Hit]:
    """Find lines that look like an attack.

    Args:
        text: A whole file.

    Returns:
        At most one hit a line and kind, in the order of the lines, at most `MAX_HITS`.
    """
    folded = text.lower()  # lines stay lines
    found = (*_by_line(folded), *_thefts(folded), *_instructions(folded))
    hits = {(hit.line, hit.detail): hit for hit in found}
    return sorted(hits.values(), key=lambda hit: (hit.line, hit.detail))[:MAX_HITS]


def _by_line(folded: str) -> Iterator[Hit]:
    for kind, word, pattern in _LINES:
        if word in folded:
            for match in pattern.finditer(folded):
                yield _hit(folded, match.start(), kind)


def _thefts(folded: str) -> Iterator[Hit]:
    """Yield places where keys are named and, within a few lines, something is sent."""
    if not any(word in folded for word in (".ssh", ".aws", ".netrc", ".kube", ".docker", "/etc/shadow", ".gnupg")):
        return
    lines = folded.split("\n")
    for number, line in enumerate(lines):
        near = (
            "\n".join(lines[max(0, number - _NEAR_LINES) : number + _NEAR_LINES + 1])
            if _KEYS.search(line[:2000])
            else ""
        )
        if _SENDING.search(near[:20_000]):
            yield Hit(code=_CODE, line=number + 1, detail="keys that are read and sent")


def _instructions(folded: str) -> Iterator[Hit]:
    """Yield orders to forget other orders that stand where a reader does not look: in comments of the markup."""
    at = folded.find("<!--")
    while at >= 0:
        end = folded.find("-->", at)
        end = len(folded) if end < 0 else end
        match = _IGNORE.search(folded, at, end)
        if match is not None:
            yield _hit(folded, match.start(), "an instruction in a comment")
        at = folded.find("<!--", end)


def _hit(text: str, at: int, kind: str) -> Hit:
    return Hit(code=_CODE, line=text.count("\n", 0, at) + 1, detail=kind)
