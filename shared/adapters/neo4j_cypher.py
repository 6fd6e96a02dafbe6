"""The audit graph in Cypher: what it looks like, and how rows become nodes. All of it may run again: nothing is doubled.

    (:SkillDeployment {id, timestamp, commit_sha, status, skills_count, trigger, …})
        -[:DEPLOYED]->(:SkillVersion {name, version, content_sha, deployed_at, …})
        -[:REMOVED]->(:SkillVersion)
        -[:WITHHELD {reason, code, codes}]->(:SkillVersion)
        -[:SUPERSEDES]->(:SkillDeployment)
        -[:ROLLED_BACK_TO]->(:SkillDeployment)
    (:Puller {id})-[:INSTALLED {at, outcome}]->(:SkillDeployment)
    (:SkillSyncEvent {id, kind, at, …})-[:ABOUT]->(:SkillDeployment)
    (:SkillSyncHead {epoch, seq, issued_at, envelope})       the highest pointer ever seen, moved only forward
    (:SkillSyncWatermark {epoch, seq, events_until})         how far the graph was fed

Every node also has `channel` and `repo`, so that several lines of deployments share one database. What a record says of a
deployment is set when its node is made and never changed.
"""

from __future__ import annotations

SCHEMA_VERSION = 1

_SCOPE = "channel: $channel, repo: $repo"
_KEYS = {
    "SkillDeployment": "id",
    "SkillVersion": "name, n.content_sha",
    "SkillSyncEvent": "id",
    "Puller": "id",
}
_INDEXES = {
    "deployment_time": "FOR (n:SkillDeployment) ON (n.timestamp)",
    "deployment_commit": "FOR (n:SkillDeployment) ON (n.commit_sha)",
    "version_name": "FOR (n:SkillVersion) ON (n.name)",
    "event_time": "FOR (n:SkillSyncEvent) ON (n.at)",
    "event_kind": "FOR (n:SkillSyncEvent) ON (n.kind)",
}
SCHEMA = (
    *(
        f"CREATE CONSTRAINT skill_sync_{label.lower()} IF NOT EXISTS "
        f"FOR (n:{label}) REQUIRE (n.channel, n.repo, n.{key}) IS UNIQUE"
        for label, key in _KEYS.items()
    ),
    *(
        f"CREATE CONSTRAINT skill_sync_{label.lower()} IF NOT EXISTS "
        f"FOR (n:{label}) REQUIRE (n.channel, n.repo) IS UNIQUE"
        for label in ("SkillSyncHead", "SkillSyncWatermark")
    ),
    *(f"CREATE INDEX skill_sync_{name} IF NOT EXISTS {what}" for name, what in _INDEXES.items()),
)

STATE = f"""
OPTIONAL MATCH (w:SkillSyncWatermark {{{_SCOPE}}})
OPTIONAL MATCH (h:SkillSyncHead {{{_SCOPE}}})
RETURN w.epoch AS epoch, w.seq AS seq, w.events_until AS events_until, w.schema AS schema, h.envelope AS envelope
"""

# Setting a property takes the node's lock: of two projections at once the second one waits here, and then sees the first.
LOCK = f"""
MERGE (w:SkillSyncWatermark {{{_SCOPE}}})
ON CREATE SET w.epoch = 0, w.seq = 0, w.events_until = ''
SET w.schema = $schema
RETURN w.epoch AS epoch, w.seq AS seq
"""

_FIND = f"MATCH (d:SkillDeployment {{{_SCOPE}, id: row.deployment}})"
_VERSION = f"MERGE (v:SkillVersion {{{_SCOPE}, name: row.name, content_sha: row.content_sha}})"

DEPLOYMENTS = f"""
UNWIND $rows AS row
MERGE (d:SkillDeployment {{{_SCOPE}, id: row.id}})
ON CREATE SET d += row.properties
"""

SUPERSEDES = f"""
UNWIND $rows AS row
{_FIND}
MATCH (former:SkillDeployment {{{_SCOPE}, id: row.former}})
MERGE (d)-[:SUPERSEDES]->(former)
"""

ROLLED_BACK_TO = f"""
UNWIND $rows AS row
{_FIND}
MATCH (former:SkillDeployment {{{_SCOPE}, id: row.former}})
MERGE (d)-[:ROLLED_BACK_TO]->(former)
"""

DEPLOYED = f"""
UNWIND $rows AS row
{_FIND}
{_VERSION}
SET v.version = row.version, v.archive = row.archive, v.files = row.files, v.bytes = row.bytes,
    v.deployed_at = CASE WHEN v.deployed_at < d.timestamp THEN v.deployed_at ELSE d.timestamp END
MERGE (d)-[:DEPLOYED]->(v)
"""

REMOVED = f"""
UNWIND $rows AS row
{_FIND}
{_VERSION}
ON CREATE SET v.version = row.version, v.archive = row.archive, v.files = row.files, v.bytes = row.bytes
MERGE (d)-[:REMOVED]->(v)
"""

WITHHELD = f"""
UNWIND $rows AS row
{_FIND}
{_VERSION}
MERGE (d)-[w:WITHHELD]->(v)
ON CREATE SET w.reason = row.reason, w.code = row.code, w.codes = row.codes
"""

EVENTS = f"""
UNWIND $rows AS row
MERGE (e:SkillSyncEvent {{{_SCOPE}, id: row.id}})
ON CREATE SET e += row.properties
WITH e, row WHERE row.deployment IS NOT NULL
{_FIND}
MERGE (e)-[:ABOUT]->(d)
"""

INSTALLED = f"""
UNWIND $rows AS row
{_FIND}
MERGE (p:Puller {{{_SCOPE}, id: row.puller}})
MERGE (p)-[i:INSTALLED {{outcome: row.outcome}}]->(d)
ON CREATE SET i.at = row.at
"""

HEAD = f"""
MERGE (h:SkillSyncHead {{{_SCOPE}}})
WITH h WHERE h.epoch IS NULL OR h.epoch < $epoch OR (h.epoch = $epoch AND (
    h.seq < $seq OR (h.seq = $seq AND h.issued_at < $issued_at)))
SET h.epoch = $epoch, h.seq = $seq, h.issued_at = $issued_at, h.envelope = $envelope
"""

MOVE = f"""
MATCH (w:SkillSyncWatermark {{{_SCOPE}}})
SET w.epoch = $epoch, w.seq = $seq,
    w.events_until = CASE WHEN w.events_until < $events_until THEN $events_until ELSE w.events_until END
"""
