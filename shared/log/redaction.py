"""Hiding secrets in a text: those of our own settings by value, those of others by pattern.

Settings are handed in by config as they are read. Characters that do harm, and lengths, are `cleaning`'s business.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from shared.log.secret_forms import RUN_CHARS, Forms, forms_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REDACTED = "[redacted]"
REPLACED = "\N{REPLACEMENT CHARACTER}"
MAX_SECRETS = 64
"""More are not kept; the oldest go first. With ten settings that are rotated monthly that is years of one process."""


class KnownSecrets:
    """The values of secret settings, now and earlier in this process's life: a rotated secret may still stand in a text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: dict[str, Forms] = {}
        self._newest: tuple[str, ...] = ()
        # Replaced, never changed: a reader in another thread goes on with what it has.
        self._told = Forms()

    def remember(self, secrets: tuple[str, ...]) -> None:
        """Know these from now on. It costs nothing when they are those that came last."""
        if secrets == self._newest:
            return
        with self._lock:
            for secret in secrets:
                known = self._forms.pop(secret) if secret in self._forms else forms_of(secret)
                self._forms[secret] = known  # now the newest
            for oldest in list(self._forms)[:-MAX_SECRETS]:
                del self._forms[oldest]
            kept = self._forms.values()
            self._told = Forms(
                runs=frozenset().union(*(forms.runs for forms in kept)),
                wholes=frozenset().union(*(forms.wholes for forms in kept)),
            )
            self._newest = secrets

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Say where in a text any of them stands, whole or in part."""
        told = self._told
        if told.runs:
            for at in range(len(text) - RUN_CHARS + 1):
                if text[at : at + RUN_CHARS] in told.runs:
                    yield at, at + RUN_CHARS
        for whole in told.wholes:
            at = text.find(whole)
            while at >= 0:
                yield at, at + len(whole)
                at = text.find(whole, at + len(whole))


_known = KnownSecrets()


def remember(secrets: Iterable[str]) -> None:
    """Hide these in every line from now on.

    Args:
        secrets: The texts of secret settings, as `forms_of` takes them; what is shorter than eight characters is not hidden.
    """
    _known.remember(tuple(secrets))


def redacted(text: str, upto: int) -> str:
    """Return the beginning of a text without secrets.

    Args:
        text: All of it is looked at; `REPLACED` stands where a character was that nobody sees.
        upto: So many characters of it are returned; a secret that stands across that place is hidden as a whole.
    """
    parts: list[str] = []
    shown = 0
    for begin, end in sorted(_spans(text)):
        if begin >= upto:
            break
        # Two that touch are one: no mark between them tells where one ends.
        if begin > shown or not parts:
            parts += [text[shown:begin], REDACTED]
        shown = max(shown, end)
    return "".join([*parts, text[shown:upto]])


def _spans(text: str) -> Iterator[tuple[int, int]]:
    from shared.log.patterns import spans_by_pattern  # noqa: PLC0415 - many expressions, compiled for the first line only

    yield from _known.spans(text)
    yield from spans_by_pattern(text)
    if REPLACED in text:
        # The end of a line, or what nobody sees, does not split a secret.
        places = [at for at, char in enumerate(text) if char != REPLACED]
        joined = text.replace(REPLACED, "")
        for begin, end in (*_known.spans(joined), *spans_by_pattern(joined)):
            yield places[begin], places[end - 1] + 1
