"""What a known secret looks like when it turns up somewhere: as it is, as base64, quoted, escaped, whole or in part.

Which secrets there are is `redaction`'s business. A secret is known by its runs of eight characters, not as a whole: so a part
of it, a line of a PEM file, or what a cut has left of it is told as well, and looking takes time by the text's length only.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN_CHARS = 8
"""Less of a secret than this tells nobody anything; and a shorter secret would turn every line into stars."""
MAX_SECRET_CHARS = 16 * 1024
_LONG_SEGMENT = 16
_UNLIKE_WORDS = re.compile("[0-9%]|[a-z][A-Z]")
# base64 begins anew every three bytes, so a secret inside of something longer has three faces; of the later two, the
# first characters also depend on what stands before.
_FACES = ((0, 0), (1, 2), (2, 3))
_URL_SAFE = str.maketrans("+/", "-_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forms:
    """How one secret is told.

    Attributes:
        runs: Eight characters each; where one stands in a text, these eight are hidden.
        wholes: Texts that are hidden only as a whole: their parts may be ordinary words.
    """

    runs: frozenset[str] = frozenset()
    wholes: frozenset[str] = frozenset()


def forms_of(secret: str) -> Forms:
    r"""Return how a secret is told.

    Args:
        secret: A setting's text: one value, several lines, PEM (also with `\n` for line ends), or addresses whose user, path
            and query are secret and whose host is not.
    """
    text = secret[:MAX_SECRET_CHARS].strip()
    text = text.replace("\\n", "\n") if text.startswith("-----") else text
    lines = [line.strip() for line in text.splitlines()]
    runs, wholes = set[str](), set[str]()
    for line in lines:
        if "://" in line:
            for url in re.split(r"[\s,]+", line):
                opaque, whole = _parts(url)
                wholes |= whole
                runs.update(*(_runs(part) for part in opaque))
        elif not line.startswith("-----"):
            runs |= _runs(line)
    if len(lines) > 1 and "://" not in text:
        runs.update(*(_cut(face) for face in _base64(text)))
    return Forms(runs=frozenset(runs), wholes=frozenset(wholes))


def _parts(url: str) -> tuple[list[str], set[str]]:
    """Return what of an address is secret by itself, and what is only together."""
    try:
        address = urlsplit(url)
    except ValueError:
        return [url], set()
    user = address.netloc.rpartition("@")[0].partition(":")
    values = [pair.partition("=")[2] for pair in address.query.split("&")]
    # "webhooks" in a path is nothing to hide, and it stands in many lines.
    segments = [part for part in address.path.split("/") if len(part) >= _LONG_SEGMENT or _UNLIKE_WORDS.search(part)]
    opaque = [user[0], user[2], *values, *segments]
    whole = address.path + (f"?{address.query}" if address.query else "")
    return [form for part in opaque for form in (part, unquote(part))], {whole} if len(whole) >= RUN_CHARS else set()


def _runs(value: str) -> set[str]:
    if len(value) < RUN_CHARS:
        return set()
    return set().union(
        *(_cut(form) for form in (value, quote(value, safe=""), json.dumps(value)[1:-1], *_base64(value)))
    )


def _base64(value: str) -> Iterator[str]:
    data = value.encode("utf-8", "surrogatepass")
    for before, skipped in _FACES:
        face = base64.b64encode(bytes(before) + data).decode().rstrip("=")[skipped:]
        yield face
        yield face.translate(_URL_SAFE)


def _cut(form: str) -> set[str]:
    return {form[at : at + RUN_CHARS] for at in range(len(form) - RUN_CHARS + 1)}
