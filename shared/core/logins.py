"""Where the audit graph is, and which user goes with which password while they are rotated, each in a setting of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

PRIVATE_DOMAIN = ".railway.internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user and its password; one that is missing is empty, and the server's to refuse."""

    user: str
    password: str = field(repr=False)


def logins(users: Sequence[str], passwords: Sequence[str]) -> tuple[Login, ...]:
    """Pair users with passwords, newest first.

    Two settings cannot be changed at once. They are therefore paired from the end: whichever gets its new first line before
    the other, the pair that worked until now goes on working.

    Args:
        users: Newest first, at least one.
        passwords: Newest first.

    Returns:
        At least one. Of two users and one password only the last user with it; of one user and two passwords that user with
        each, as its password is being changed.
    """
    if not passwords:
        return (Login(user=users[-1], password=""),)
    named = users if len(users) > 1 else list(users) * len(passwords)
    pairs = zip(reversed(named), reversed(passwords), strict=False)
    return tuple(dict.fromkeys(Login(user=user, password=password) for user, password in pairs))[::-1]


def is_private(uri: str) -> bool:
    """Whether a server's address names a host in Railway's private network, which nobody outside of it reaches."""
    return (urlsplit(uri).hostname or "").rstrip(".").endswith(PRIVATE_DOMAIN)
