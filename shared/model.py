"""The words of the product as types, each used once and only once. How they look as bytes is core's business."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from datetime import datetime

CommitSha = NewType("CommitSha", str)
"""Git's hash of a commit, 40 lower-case hex digits."""
TreeId = NewType("TreeId", str)
"""Git's hash of a folder, 40 lower-case hex digits."""
BlobId = NewType("BlobId", str)
"""Git's hash of a file's content, 40 lower-case hex digits."""
Digest = NewType("Digest", str)
"""SHA-256 of an object of ours, 64 lower-case hex digits."""
SkillId = NewType("SkillId", str)
"""The name of a skill's folder. Only a valid slug is ever published; a withheld one may be any text."""
DeploymentId = NewType("DeploymentId", str)
"""`<epoch>-<seq>`."""


class Trigger(StrEnum):
    """What set a sync going."""

    WEBHOOK = "webhook"
    POLLING = "polling"
    MANUAL = "manual"
    ACTIONS = "actions"
    ROLLBACK = "rollback"


class Action(StrEnum):
    """What a deployment did, as the pointer names it."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    RELEASE = "release"
    RECOVER = "recover"


class Status(StrEnum):
    """How a deployment ended. `REJECTED`: only what is withheld changed, nothing on the volume."""

    SUCCESS = "success"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


class Reason(StrEnum):
    """Why a head version is withheld."""

    REJECTED = "rejected"
    TOGETHER = "together"
    ROLLED_BACK = "rolled_back"
    UNHEALTHY = "unhealthy"
    DELETION_GUARD = "deletion_guard"


class Severity(StrEnum):
    """`ERROR` keeps a skill out; `WARNING` is reported and published."""

    ERROR = "error"
    WARNING = "warning"


class Standing(StrEnum):
    """How a commit stands to a base commit."""

    IDENTICAL = "identical"
    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What an entry of a tree listing is."""

    FILE = "file"
    EXECUTABLE = "executable"
    SYMLINK = "symlink"
    FOLDER = "folder"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeEntry:
    """One entry of a commit's recursive listing.

    `path` is relative to the repository's root with `/` between segments. Bytes that are not UTF-8 stand escaped with
    backslashes, so that the path rules refuse them. `size` is in bytes, None where the source does not tell.
    """

    path: str
    kind: Kind
    id: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillAtHead:
    """One skill as the branch head has it: its folder, its tree id, and every entry below, paths relative to it."""

    id: SkillId
    path: str
    tree: TreeId
    entries: tuple[TreeEntry, ...]
    shadowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillFile:
    """One file of a skill with its content. `path` is relative to the skill's folder."""

    path: str
    executable: bool
    blob: BlobId
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One verdict of one rule on one file: never the matched text. `line` counts from 1; 0 means the whole file."""

    code: str
    severity: Severity
    path: str
    line: int
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One published file as the manifest names it. `mode` is 0o644 or 0o755; `size` is in bytes."""

    path: str
    mode: int
    blob: BlobId
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSkill:
    """One published skill as the manifest names it. `archive_size` is in bytes."""

    id: SkillId
    name: str
    version: str
    version_source: str
    path: str
    tree: TreeId
    archive: Digest
    archive_size: int
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """A head version that is not published. `tree` is None when what is withheld is the skill's deletion.

    `commit` is the head at which it was first withheld, which also tells what a push changed together.
    """

    id: SkillId
    tree: TreeId | None
    path: str
    reason: Reason
    commit: CommitSha
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The versioned bundle. `root` is the publish root, `rules` the version of the rules that judged it whole."""

    channel: str
    repo: str
    root: str
    rules: str
    skills: dict[SkillId, LiveSkill]
    withheld: dict[SkillId, Withheld]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRef:
    """How a pointer names a manifest. `size` is in bytes, `skills` counts the live ones."""

    sha256: Digest
    size: int
    skills: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """The verified content of `current.json`: which manifest is live. Only `verify_pointer` and the signer make one.

    `commit`, `issued_at`, `expires_at` and `head_checked_at` are the four fields that a refresh may change; `token` makes
    the bytes of two competing deployments differ; `previous` is the deployment before this one, also across epochs;
    `asked_at` is when the call came in that made it. Times are RFC 3339 in UTC with milliseconds.
    """

    channel: str
    repo: str
    ref: str
    epoch: int
    seq: int
    action: Action
    status: Status
    trigger: Trigger
    commit: CommitSha
    previous_commit: CommitSha | None
    history_rewritten: bool
    manifest: ManifestRef
    history: tuple[tuple[int, Digest], ...]
    deployed_at: str
    issued_at: str
    expires_at: str
    head_checked_at: str
    token: str
    previous: DeploymentId | None = None
    asked_at: str | None = None
    rolled_back_to: DeploymentId | None = None

    @property
    def deployment(self) -> DeploymentId:
        """The deployment's name, `<epoch>-<seq>`."""
        return DeploymentId(f"{self.epoch}-{self.seq}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose signature a pointer needs, for which content, in which epoch: one version of the operator-signed chain.

    Keys map key id to raw public key. `past_signers` are those of earlier versions, which prove old records to people but
    never a pointer. `ack` is the highest epoch whose violation an operator has acknowledged, under `incident`; 0 means none.
    """

    version: int
    channel: str
    repo: str
    ref: str
    epoch: int
    signer_keys: dict[str, bytes]
    operator_keys: dict[str, bytes] = field(default_factory=dict)
    past_signers: dict[str, bytes] = field(default_factory=dict)
    ack: int = 0
    reason: str = ""
    incident: str = ""
    issued_at: str = ""
    expires_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The newest pointer that a party has accepted; nothing behind it is ever accepted again."""

    epoch: int
    seq: int
    digest: Digest
    issued_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """A pause that stays until an operator opens a new epoch. `epoch` is the one in which it was raised, `since` when."""

    reason: str
    epoch: int
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What a push webhook says. Only a hint: content is always read from the source."""

    repo: str
    ref: str
    before: CommitSha
    after: CommitSha
    forced: bool
    deleted: bool
    default_branch: str
    changed_skill_files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedDelivery:
    """A webhook call that the forge made in vain. `status_code` 0 means that nothing was answered.

    `id` is the number of the last attempt, `delivered_at` its time, `guid` is the one that all attempts share.
    """

    id: int
    guid: str
    delivered_at: datetime
    status_code: int
