"""What the puller remembers on the volume: the floor, what it has installed, and what it has begun.

Which files are its own follows from the manifests that are named here (`bundles` keeps them). `unfinished` is written before
the first live file changes and cleared after the last. After a kill the next start therefore still knows every file that
is or may be its own, and completes the install from what stands on the disk. How it is written is left to `state_file`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.model import DeploymentId, Digest, Floor, Latch, SkillId


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """What an install brings: a manifest, by SHA-256 and size in bytes, with so many skills, in these layouts."""

    manifest: Digest
    size: int
    skills: int
    layouts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The deployment that failed its proof here, why, and the ids of the skills that the gateway lost by it."""

    deployment: DeploymentId
    manifest: Digest
    reasons: tuple[str, ...]
    skills: tuple[SkillId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proving:
    """An install whose proof is outstanding.

    Args:
        deployment: The one that was installed.
        former: What stood before, to go back to; None where nothing was installed.
        former_deployment: The one that it was.
        listed: Ids of the changed skills that the gateway listed before; None where it listed none at all.
        was_healthy: Whether the gateway was well before: only then is its fault the deployment's.
    """

    deployment: DeploymentId
    former: Edition | None
    former_deployment: DeploymentId | None
    listed: tuple[SkillId, ...] | None
    was_healthy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is remembered.

    Args:
        line: Channel, repository and ref that the floor belongs to.
        deployment: The deployment that is installed.
        installed: What it brought.
        unfinished: What interrupted installs may have left files of, the last one begun last; empty while none is.
        removed_at: Names directly below the skills folder, and when we took them away.
        displaced: Foreign paths that were put aside for `deployment`, or for the one being installed.
        latches: Pauses that only an operator ends.
        failures: What was put back, one deployment after the other, oldest first, until one is installed that holds.
        proving: The proof that is outstanding.
        kept: Skills that an operator brought back by hand: id to the live archive at which that was noticed.
        repairing: Skills whose repair has begun and not ended.
    """

    line: tuple[str, ...] = ()
    floor: Floor | None = None
    envelope: bytes = field(default=b"", repr=False)
    deployment: DeploymentId | None = None
    installed_at: str | None = None
    installed: Edition | None = None
    unfinished: tuple[Edition, ...] = ()
    removed_at: dict[str, str] = field(default_factory=dict)
    displaced: tuple[str, ...] = ()
    latches: tuple[Latch, ...] = ()
    failures: tuple[Failed, ...] = ()
    proving: Proving | None = None
    kept: dict[SkillId, Digest] = field(default_factory=dict)
    repairing: tuple[SkillId, ...] = ()

    @property
    def manifest(self) -> Digest | None:
        """The manifest that is installed."""
        return None if self.installed is None else self.installed.manifest

    @property
    def installing(self) -> Edition | None:
        """What was being installed when that was interrupted; None while nothing is unfinished."""
        return self.unfinished[-1] if self.unfinished else None

    @property
    def failed(self) -> Failed | None:
        """The deployment that failed its proof here last, while nothing has held since."""
        return self.failures[-1] if self.failures else None

    @property
    def editions(self) -> tuple[Edition, ...]:
        """Everything whose files may stand on the volume."""
        return (*(() if self.installed is None else (self.installed,)), *self.unfinished)
