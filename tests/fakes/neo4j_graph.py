"""What is in a real Neo4j server, in the form that `memory_audit` keeps it, so that both can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.adapters.neo4j_audit import Neo4jAudit
from shared.core.audit import Position
from shared.core.logins import Login
from tests.fakes.memory_audit import Graph

if TYPE_CHECKING:
    import neo4j

    from tests.neo4j.server import Server
    from tests.tcp_proxy import TcpProxy

CHANNEL, REPO = "prod", "octo/skills"
_EDGES = """
MATCH (a)-[r]->(b) WHERE a.channel = $channel AND a.repo = $repo
RETURN type(r) AS kind, coalesce(a.id, '') AS source, coalesce(b.id, b.name + '@' + b.content_sha) AS target,
       properties(r) AS properties
ORDER BY kind, source, target
"""


def real(
    server: Server, *, channel: str = CHANNEL, through: TcpProxy | None = None, password: str | None = None
) -> Neo4jAudit:
    """The adapter on that server, or on a proxy before it."""
    uri = server.uri if through is None else f"bolt://127.0.0.1:{through.port}"
    known = Login(user=server.user, password=password or server.password)
    return Neo4jAudit(uri, [known], channel=channel, repo=REPO)


@dataclass(frozen=True)
class Snapshot:
    """All nodes and edges, as a backup of the whole database would hold them."""

    nodes: list[dict[str, Any]]
    edges: list[dict[str, Any]]


def snapshot(server: Server) -> Snapshot:
    """Back the database up."""
    with server.driver() as driver:
        nodes = driver.execute_query(
            "MATCH (n) RETURN elementId(n) AS key, labels(n)[0] AS label, properties(n) AS node"
        )
        edges = driver.execute_query(
            "MATCH (a)-[r]->(b) RETURN elementId(a) AS a, elementId(b) AS b, type(r) AS type, properties(r) AS edge"
        )
        return Snapshot([dict(record) for record in nodes.records], [dict(record) for record in edges.records])


def put_back(server: Server, held: Snapshot) -> None:
    """Restore that backup; constraints and indexes stay."""
    with server.driver() as driver, driver.session() as session:
        session.run("MATCH (n) DETACH DELETE n").consume()
        keys = {}
        for row in held.nodes:
            made = session.run(f"CREATE (n:{row['label']}) SET n = $node RETURN elementId(n) AS key", node=row["node"])  # type: ignore[arg-type]
            keys[row["key"]] = made.single(strict=True)["key"]
        for row in held.edges:
            both = "MATCH (a), (b) WHERE elementId(a) = $a AND elementId(b) = $b"
            query = f"{both} CREATE (a)-[r:{row['type']}]->(b) SET r = $edge"
            session.run(query, a=keys[row["a"]], b=keys[row["b"]], edge=row["edge"]).consume()  # type: ignore[arg-type]


def dumped(server: Server, *, channel: str = CHANNEL, repo: str = REPO) -> Graph:
    """Read everything of one line of deployments."""
    graph = Graph()
    with server.driver() as driver, driver.session() as session:
        scope = {"channel": channel, "repo": repo}
        graph.deployments = {key: _plain(node, "id") for key, node in _nodes(session, "SkillDeployment", "id", scope)}
        graph.events = {key: _plain(node, "id") for key, node in _nodes(session, "SkillSyncEvent", "id", scope)}
        for _, node in _nodes(session, "SkillVersion", "name", scope):
            graph.versions[f"{node['name']}@{node['content_sha']}"] = _plain(node)
        for edge in session.run(_EDGES, scope):
            properties = _plain(edge["properties"])
            outcome = f" {properties.pop('outcome')}" if edge["kind"] == "INSTALLED" else ""
            graph.edges[edge["kind"] + outcome, edge["source"], edge["target"]] = properties
        for _, node in _nodes(session, "SkillSyncHead", "epoch", scope):
            graph.head = (node["epoch"], node["seq"], node["issued_at"], bytes(node["envelope"]))
        for _, node in _nodes(session, "SkillSyncWatermark", "epoch", scope):
            graph.position = Position(epoch=node["epoch"], seq=node["seq"], events_until=node["events_until"])
    return graph


def _nodes(session: neo4j.Session, label: str, key: str, scope: dict[str, str]) -> list[tuple[Any, dict[str, Any]]]:
    query = (
        f"MATCH (n:{label} {{channel: $channel, repo: $repo}}) RETURN properties(n) AS node ORDER BY n.timestamp, n.id"
    )
    return [(record["node"][key], record["node"]) for record in session.run(query, scope)]  # type: ignore[arg-type]


def _plain(properties: dict[str, Any], *left_out: str) -> dict[str, object]:
    return {
        key: str(value.to_native()) if hasattr(value, "to_native") else value
        for key, value in properties.items()
        if key not in {"channel", "repo", *left_out} and value != []
    }
