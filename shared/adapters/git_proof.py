"""What a git server is shown for HTTP Basic: a token as the password of a fixed user, or what stands in the address."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from shared.adapters.value_choice import ValueChoice

TOKEN_USER: Final = "x-access-token"  # noqa: S105 - the name that GitHub gives to any token, no secret


class Proof:
    """The proof for one repository's server, and what takes its place when it is refused.

    Args:
        tokens: Any of them counts before `given`; None or empty for none.
        given: User and password that stand in the address; None for none.
    """

    def __init__(self, tokens: ValueChoice | None, given: tuple[str, str] | None) -> None:
        self._tokens = tokens
        self._token = None if tokens is None else tokens.current()
        self._given = given

    def headers(self) -> dict[str, str]:
        """Return the header to send; empty for none."""
        pair = self._given if self._token is None else (TOKEN_USER, self._token)
        return {} if pair is None else {"authorization": f"Basic {base64.b64encode(':'.join(pair).encode()).decode()}"}

    def replace(self) -> bool:
        """Put the other token in the place of the refused one; say whether there is another."""
        other = None if self._tokens is None else self._tokens.other(self._token)
        self._token = other or self._token
        return other is not None

    def was_accepted(self) -> None:
        """Remember for all sources of the process that the token in use was accepted where the other was refused."""
        if self._tokens is not None and self._token is not None:
            self._tokens.took_over(self._token)
