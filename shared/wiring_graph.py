"""Builds what reaches the audit graph; `wiring` hands it on with the rest."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from shared.core.logins import logins

if TYPE_CHECKING:
    from shared.config import Settings
    from shared.core.logins import Login
    from shared.ports import Audit, Probe


def audit(found: Settings) -> Audit | None:
    """Return the audit graph; None when `NEO4J_URI` names none."""
    if found.neo4j_uri is None:
        return None
    return _graph(found.neo4j_uri, logins(found.neo4j_users, found.neo4j_passwords), found.channel, found.repo)


# Which login is let in is worth knowing from call to call.
@lru_cache(maxsize=2)
def _graph(uri: str, known: tuple[Login, ...], channel: str, repo: str) -> Audit:
    from shared.adapters.neo4j_audit import Neo4jAudit

    return Neo4jAudit(uri, known, channel=channel, repo=repo)


def graph_probe(found: Settings) -> Probe | None:
    """Return what tries the audit graph's logins; None when `NEO4J_URI` names none."""
    if found.neo4j_uri is None:
        return None
    from shared.adapters.neo4j_probe import GraphProbe

    return GraphProbe(found.neo4j_uri, logins(found.neo4j_users, found.neo4j_passwords))
