"""Valid values of the core's types, each with a way to change one thing about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.core.canonical import digest_of
from shared.core.git_objects import blob_id
from shared.core.judge import judge
from shared.core.manifest import empty_manifest
from shared.core.pointer import Move, next_pointer
from shared.core.rules import Terms
from shared.core.selection import select_files
from shared.model import (
    Action,
    BlobId,
    CommitSha,
    Digest,
    FileEntry,
    Kind,
    LiveSkill,
    Manifest,
    ManifestRef,
    Pointer,
    Reason,
    SkillAtHead,
    SkillId,
    Status,
    TreeEntry,
    TreeId,
    Trigger,
    Withheld,
)
from tests.fakes.world import MAIN, REPO, TRUST

if TYPE_CHECKING:
    from shared.core.case import Verdict

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
NO_MANIFEST = empty_manifest(channel="prod", repo=REPO, root="", rules="r1")
GOOD = b"---\nname: hello\ndescription: Says hello.\nversion: 1.0.0\n---\nText.\n"


def digest(number: int) -> Digest:
    return digest_of(b"%d" % number)


def git_id(number: int) -> str:
    return f"{number:040x}"


def commit(number: int) -> CommitSha:
    return CommitSha(git_id(number))


def a_move(number: int = 1, **changes: object) -> Move:
    """The move to manifest `number`."""
    move = Move(
        action=Action.DEPLOY,
        status=Status.SUCCESS,
        trigger=Trigger.WEBHOOK,
        commit=commit(number),
        manifest=ManifestRef(sha256=digest(number), size=100 + number, skills=number),
        token=f"token-{number}",
    )
    return replace(move, **changes)


def a_pointer(seq: int = 1, **changes: object) -> Pointer:
    """The pointer after `seq` deployments, the n-th to manifest n."""
    found: Pointer | None = None
    for number in range(1, seq + 1):
        found = next_pointer(found, a_move(number), trust=TRUST, now=NOW, poll_seconds=300.0)
    assert found is not None
    return replace(found, **changes)


def a_live_skill(key: str = "hello", tree: int = 1, **changes: object) -> LiveSkill:
    skill = LiveSkill(
        id=SkillId(key),
        name=key,
        version="1.0.0",
        version_source="frontmatter",
        path=key,
        tree=TreeId(git_id(tree)),
        archive=digest(tree),
        archive_size=2048,
        files=(FileEntry(path="SKILL.md", mode=0o644, blob=BlobId(git_id(tree)), size=64),),
    )
    return replace(skill, **changes)


def a_withheld(key: str = "hello", tree: int | None = 2, **changes: object) -> Withheld:
    held = Withheld(
        id=SkillId(key),
        tree=None if tree is None else TreeId(git_id(tree)),
        path=key,
        reason=Reason.REJECTED,
        commit=commit(1),
    )
    return replace(held, **changes)


def a_manifest(*live: LiveSkill, withheld: tuple[Withheld, ...] = (), **changes: object) -> Manifest:
    skills = {skill.id: skill for skill in live}
    return replace(NO_MANIFEST, skills=skills, withheld={item.id: item for item in withheld}, **changes)


def an_entry(path: str, data: bytes = b"x", **changes: object) -> TreeEntry:
    return replace(TreeEntry(path=path, kind=Kind.FILE, id=blob_id(data), size=len(data)), **changes)


def at_head(*entries: TreeEntry, key: str = "hello", path: str | None = None, **changes: object) -> SkillAtHead:
    skill = SkillAtHead(id=SkillId(key), path=path or key, tree=TreeId(git_id(7)), entries=entries)
    return replace(skill, **changes)


def judged(
    files: dict[str, bytes],
    *,
    key: str = "hello",
    live: LiveSkill | None = None,
    terms: Terms | None = None,
    **more: object,
) -> Verdict:
    """What the rules say of a skill of these files, path to content."""
    skill = at_head(*(an_entry(path, data) for path, data in files.items()), key=key, **more)
    return verdict_on(skill, {blob_id(data): data for data in files.values()}, live=live, terms=terms)


def verdict_on(
    skill: SkillAtHead,
    contents: dict[BlobId, bytes],
    *,
    live: LiveSkill | None = None,
    terms: Terms | None = None,
) -> Verdict:
    """The verdict, given only the contents that were asked for."""
    terms = terms or Terms()
    wanted = {entry.id for entry in select_files(skill, terms).entries}
    return judge(skill, {key: data for key, data in contents.items() if key in wanted}, live, terms)


__all__ = ["GOOD", "MAIN", "NOW", "NO_MANIFEST", "REPO", "TRUST"]
