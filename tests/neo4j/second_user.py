"""A second user of the test server: made for one test, as an operator makes one to rotate the password, and dropped again."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.core.logins import Login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.neo4j.server import Server

NAME = "skill_sync_second"
PASSWORD = "p" * 40


@contextmanager
def second_user(server: Server, *, must_change: bool = False) -> Iterator[Login]:
    """Make it, and drop it again.

    Args:
        server: Where.
        must_change: Whether it must change its password before it may do anything, as is Neo4j's own default.
    """
    drop(server)
    change = "REQUIRED" if must_change else "NOT REQUIRED"
    _run(server, f"CREATE USER {NAME} SET PLAINTEXT PASSWORD $password CHANGE {change}", password=PASSWORD)
    try:
        yield Login(user=NAME, password=PASSWORD)
    finally:
        drop(server)


def drop(server: Server) -> None:
    """Drop it, if it is there."""
    _run(server, f"DROP USER {NAME} IF EXISTS")


def administrator(server: Server) -> Login:
    """The user that the server came with."""
    return Login(user=server.user, password=server.password)


def _run(server: Server, statement: str, **parameters: str) -> None:
    with server.driver() as driver, driver.session(database="system") as session:
        session.run(statement, parameters).consume()  # type: ignore[arg-type]
