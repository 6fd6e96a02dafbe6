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
    r"~/\.ssh|\.ssh/id_|\.aws/credentials|\.netrc|\.kube/config|\.docker/config\.json|/etc/shadow|\.gnupg",
    re.IGNORECASE,
)
_SENDING = re.compile(r"\b(?:curl|wget|nc|ncat|netcat|scp|rsync|requests\.post|httpx\.post|fetch)\b", re.IGNORECASE)
_NEAR_LINES = 3
_IGNORE = re.compile(
    r"(?:ignore|disregard|forget)[ \t]{1,4}(?:all[ \t]{1,4})?(?:of[ \t]{1,4})?(?:the[ \t]{1,4}|your[ \t]{1,4})?"
    r"(?:previous|prior|above|earlier)[ \t]{1,4}(?:instructions|prompts|messages|rules)",
    re.IGNORECASE,
)

# Kind, a word without which the pattern cannot match (in lower case), and the pattern, searched line by line.
_LINES: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        "a download piped to a shell",
        ("curl", "wget"),
        re.compile(
            rf"\b(?:curl|wget)\b[^\n|]{{0,200}}\|[ \t]{{0,4}}(?:{_SHELL}|(?:sudo[ \t]{{1,4}})?python3?\b|perl\b|node\b)",
            re.IGNORECASE,
        ),
    ),
    (
        "a download run by a shell",
        ("curl", "wget"),
        re.compile(
            rf"{_SHELL}[ \t]{{1,4}}(?:-c[ \t]{{1,4}})?[\"']?(?:<\(|\$\()[ \t]{{0,4}}(?:curl|wget)\b", re.IGNORECASE
        ),
    ),
    (
        "base64 piped to a shell",
        ("base64",),
        re.compile(rf"\bbase64\b[ \t]{{1,4}}(?:-d|-D|--decode)\b[^\n|]{{0,200}}\|[ \t]{{0,4}}{_SHELL}", re.IGNORECASE),
    ),
    ("a reverse shell", ("/dev/tcp/", "/dev/udp/"), re.compile(r"/dev/(?:tcp|udp)/[^\s/]{1,200}/\d{1,5}")),
    (
        "a reverse shell",
        ("nc", "ncat"),
        re.compile(r"\bn(?:c|cat|etcat)\b[^\n]{0,120}[ \t]-[a-z]{0,4}[ec][ \t]{1,4}(?:/\w|cmd|bash|sh)", re.IGNORECASE),
    ),
    ("a reverse shell", ("dup2",), re.compile(r"\bdup2\([^\n]{0,80}fileno\(\)")),
)


def find_suspicious(text: str) -> list[Hit]:
    """Find lines that look like an attack.

    Args:
        text: A whole file.

    Returns:
        At most one hit a line and kind, in the order of the lines, at most `MAX_HITS`.
    """
    folded = text.lower()
    hits = {
        (hit.line, hit.detail): hit
        for hit in (*_by_line(text, folded), *_thefts(text, folded), *_instructions(text, folded))
    }
    return sorted(hits.values(), key=lambda hit: (hit.line, hit.detail))[:MAX_HITS]


def _by_line(text: str, folded: str) -> Iterator[Hit]:
    for kind, words, pattern in _LINES:
        if any(word in folded for word in words):
            for match in pattern.finditer(text):
                yield _hit(text, match.start(), kind)


def _thefts(text: str, folded: str) -> Iterator[Hit]:
    """Yield places where keys are named and, within a few lines, something is sent."""
    if not any(word in folded for word in (".ssh", ".aws", ".netrc", ".kube", ".docker", "/etc/shadow", ".gnupg")):
        return
    lines = text.split("\n")
    for number, line in enumerate(lines):
        near = (
            "\n".join(lines[max(0, number - _NEAR_LINES) : number + _NEAR_LINES + 1])
            if _KEYS.search(line[:2000])
            else ""
        )
        if _SENDING.search(near[:20_000]):
            yield Hit(code=_CODE, line=number + 1, detail="keys that are read and sent")


def _instructions(text: str, folded: str) -> Iterator[Hit]:
    """Yield orders to forget other orders that stand where a reader does not look: in comments of the markup."""
    at = folded.find("<!--") if "<!--" in folded and len(folded) == len(text) else -1
    while at >= 0:
        end = text.find("-->", at)
        end = len(text) if end < 0 else end
        match = _IGNORE.search(text, at, end)
        if match is not None:
            yield _hit(text, match.start(), "an instruction in a comment")
        at = text.find("<!--", end)


def _hit(text: str, at: int, kind: str) -> Hit:
    return Hit(code=_CODE, line=text.count("\n", 0, at) + 1, detail=kind)
