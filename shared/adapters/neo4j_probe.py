"""Tries the logins of the audit graph, behind the `Probe` port: the newest one writes, a made-up one is refused."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from shared.adapters.neo4j_connection import connection
from shared.core.credentials import Check, Mark, weakness
from shared.core.logins import PRIVATE_DOMAIN, Login, is_private
from shared.errors import SkillSyncError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from neo4j import AsyncManagedTransaction

_REACH = "see that the server runs, and that NEO4J_URI is an address that Google Cloud reaches: Aura's, or Railway's TCP proxy"
_PRIVATE_NAME = f"NEO4J_URI names a host in {PRIVATE_DOMAIN}, which Google Cloud does not reach: {_REACH}"
_FIXES = {
    "AUDIT_DENIED": (
        "in Neo4j: CREATE USER <user> SET PASSWORD '<password>' CHANGE NOT REQUIRED, with a role that may write; "
        "then the same user and password as the first lines of NEO4J_USER and NEO4J_PASSWORD"
    ),
    "AUDIT_UNAVAILABLE": _REACH,
    "AUDIT_TOO_SLOW": f"try again; if it stays so, {_REACH}",
}
_OLD_REFUSED = (
    "nothing, where the new login works: remove the old lines; next time rotate by a second user, "
    "as a user's old password ends when the new one is set"
)
_CREATE = "CREATE (:SkillSyncProbe {id: $id})"
_DELETE = "MATCH (probe:SkillSyncProbe {id: $id}) DELETE probe"


class GraphProbe:
    """Tries them, each over a connection of its own.

    Args:
        uri: `neo4j+s://…`, `bolt://…`.
        logins: Newest first; at least one.
        made_up: Makes a password that nobody has.
    """

    def __init__(
        self, uri: str, logins: Sequence[Login], *, made_up: Callable[[], str] = lambda: secrets.token_hex(32)
    ) -> None:
        self._uri = uri
        self._logins = tuple(logins)
        self._made_up = made_up

    def __call__(self, seconds: float) -> list[Check]:
        """Try them; the promises are those of the port.

        Three wrong passwords lock a user for 5 s. Only one is tried here, after the right one, which begins the count anew.
        """
        ends_at = time.monotonic() + seconds
        newest, *others = self._logins
        formed = weakness(newest.password) or Check(name="password-is-well-formed", mark=Mark.OK)
        checks = [formed, self._writes(newest, ends_at)]
        if checks[-1].mark is Mark.OK:
            checks.append(self._refuses_another(newest, ends_at))
        return checks + [self._still_works(login, ends_at) for login in others]

    def _writes(self, login: Login, ends_at: float) -> Check:
        name = "newest-login-writes"
        try:
            self._write(login, ends_at)
        except SkillSyncError as error:
            return self._failed(name, error)
        return Check(name=name, mark=Mark.OK)

    def _refuses_another(self, login: Login, ends_at: float) -> Check:
        name = "made-up-password-is-refused"
        try:
            with connection(self._uri, ends_at - time.monotonic()) as made:
                made.connect(Login(user=login.user, password=self._made_up()), prove=True)
        except SkillSyncError as error:
            return Check(name=name, mark=Mark.OK) if error.code == "AUDIT_DENIED" else self._failed(name, error)
        return Check(
            name=name,
            mark=Mark.FAIL,
            code="MADE_UP_PASSWORD_ACCEPTED",
            text="the audit graph lets a made-up password in: whether the new one is right was not proved",
            fix="switch authentication on in Neo4j: dbms.security.auth_enabled=true",
        )

    def _still_works(self, login: Login, ends_at: float) -> Check:
        name = "other-login-still-works"
        try:
            with connection(self._uri, ends_at - time.monotonic()) as made:
                made.connect(login, prove=True)
        except SkillSyncError as error:
            if error.code != "AUDIT_DENIED":
                return self._failed(name, error, Mark.WARN)
            return Check(name=name, mark=Mark.WARN, code="OLD_LOGIN_REFUSED", text=error.message, fix=_OLD_REFUSED)
        return Check(name=name, mark=Mark.OK)

    def _write(self, login: Login, ends_at: float) -> None:
        """Write a node and delete it, in one transaction: wherever it ends, nothing is left."""
        probe = {"id": secrets.token_hex(16)}

        async def work(transaction: AsyncManagedTransaction) -> None:
            for statement in (_CREATE, _DELETE):
                await (await transaction.run(statement, probe)).consume()

        with connection(self._uri, ends_at - time.monotonic()) as made:
            made.connect(login)
            made.write(work)

    def _failed(self, name: str, error: SkillSyncError, mark: Mark = Mark.FAIL) -> Check:
        unreached = error.code in {"AUDIT_UNAVAILABLE", "AUDIT_TOO_SLOW"}
        private = unreached and is_private(self._uri)
        fix = _PRIVATE_NAME if private else _FIXES.get(error.code, "")
        return Check(name=name, mark=mark, code=error.code, text=error.message, fix=fix)
