"""A signed world of made-up skills, ready to be served to a puller: no repository, no store, and no rule is asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from shared.core.archive import pack
from shared.core.canonical import digest_of
from shared.core.git_objects import blob_id
from shared.core.manifest import empty_manifest, manifest_bytes
from shared.core.pointer import Move, next_pointer, sign_pointer
from shared.core.verify import etag_of
from shared.model import (
    Action,
    CommitSha,
    FileEntry,
    LiveSkill,
    ManifestRef,
    SkillFile,
    SkillId,
    Status,
    TreeId,
    Trigger,
)
from tests.bench.skills import skill_files, skill_id
from tests.fakes.trusted import a_signer, anchor, first_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.model import DeploymentId, Digest, Pointer

SIGNER = a_signer(77)
TRUST = first_version(SIGNER, repo="octo/skills", ref="refs/heads/main")
ANCHOR = anchor(TRUST)
_POLL_SECONDS = 4 * 3600.0
"""As good as never: a pointer must not expire while a slow machine is measured."""


class ReleaseWorld:
    """Serves so many skills; `change` deploys a new version of one.

    Args:
        skills: How many there are.
    """

    def __init__(self, skills: int) -> None:
        self._manifest = empty_manifest(channel=TRUST.channel, repo=TRUST.repo, root="", rules="made up")
        self._objects: dict[str, bytes] = {}
        self._records: dict[str, bytes] = {}
        self._pointer: Pointer | None = None
        for number in range(skills):
            self._put(number, "The first text.")
        self._deploy()

    def change(self, number: int, text: str) -> DeploymentId:
        """Let the SKILL.md of one skill say something else, and make that live."""
        self._put(number, text)
        return self._deploy()

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Answer as the release function does, whoever asks: status, headers, body."""
        if method == "POST":
            return HTTPStatus.NO_CONTENT, {}, b""
        kind, _, name = path.removeprefix("/v1/").partition("/")
        if kind == "current":
            known = headers.get("if-none-match") == self._etag
            tags = {"ETag": self._etag, "X-Trust-Version": str(TRUST.version)}
            return (HTTPStatus.NOT_MODIFIED, tags, b"") if known else (HTTPStatus.OK, tags, self._envelope)
        found = {"objects": self._objects, "deployments": self._records}.get(kind, {}).get(name)
        if found is None:
            return HTTPStatus.NOT_FOUND, {}, json.dumps({"error": "nothing there", "code": "NOT_FOUND"}).encode()
        return HTTPStatus.OK, {}, found

    def _put(self, number: int, text: str) -> None:
        key = SkillId(skill_id(number))
        files = [_file(path.partition("/")[2], data) for path, data in skill_files(number, text).items()]
        archive = pack(files)
        digest = self._store(archive)
        self._manifest.skills[key] = LiveSkill(
            id=key,
            name=key,
            version="1.0.0",
            version_source="SKILL.md",
            path=key,
            tree=TreeId(digest[:40]),
            archive=digest,
            archive_size=len(archive),
            files=tuple(
                FileEntry(path=each.path, mode=0o644, blob=each.blob, size=len(each.data))
                for each in sorted(files, key=lambda each: each.path)
            ),
        )

    def _deploy(self) -> DeploymentId:
        data = manifest_bytes(self._manifest)
        move = Move(
            action=Action.DEPLOY,
            status=Status.SUCCESS,
            trigger=Trigger.WEBHOOK,
            commit=CommitSha(f"{len(self._records) + 1:040x}"),
            manifest=ManifestRef(sha256=self._store(data), size=len(data), skills=len(self._manifest.skills)),
            token="t" * 16,
        )
        now = datetime.now(UTC)
        self._pointer = next_pointer(self._pointer, move, trust=TRUST, now=now, poll_seconds=_POLL_SECONDS)
        self._envelope = sign_pointer(self._pointer, SIGNER)
        self._etag = etag_of(self._envelope)
        self._records[self._pointer.deployment] = self._envelope
        return self._pointer.deployment

    def _store(self, data: bytes) -> Digest:
        digest = digest_of(data)
        self._objects[digest] = data
        return digest


def _file(path: str, text: str) -> SkillFile:
    data = text.encode()
    return SkillFile(path=path, executable=False, blob=blob_id(data), data=data)
