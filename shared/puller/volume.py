"""The folders of a volume, opened and checked. What happens in them is left to `install` and `snapshot`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import ConfigError
from shared.puller.files import Root

if TYPE_CHECKING:
    from pathlib import Path

    from shared.puller.calls import Calls

_OWN_MODE = 0o700


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """The folders of a volume: the watched one, ours beside it, and where foreign files go."""

    skills: Root
    own: Root
    backup: Root


def open_volume(skills_dir: Path, backup_dir: Path, calls: Calls) -> Volume:
    """Make the folders where they are missing.

    Args:
        skills_dir: What the gateway watches; never replaced once it exists. A link to it is resolved.
        backup_dir: Where foreign files go; made when it is needed.
        calls: What changes the disk.

    Raises:
        ConfigError: `CONFIG_INVALID`: the folders lie so that nothing could be renamed, or backups would be loaded.
    """
    skills_dir, backup_dir = skills_dir.resolve(), backup_dir.resolve()
    if backup_dir.is_relative_to(skills_dir):
        raise ConfigError("CONFIG_INVALID", "BACKUP_DIR: expected a folder outside of SKILLS_DIR")
    path = skills_dir.parent / ".skill-sync"
    path.mkdir(mode=_OWN_MODE, parents=True, exist_ok=True)
    own, skills = Root(path, calls), Root(skills_dir, calls)
    make_watched(skills, own)
    if skills_dir.stat().st_dev != path.stat().st_dev:
        raise ConfigError("CONFIG_INVALID", "SKILLS_DIR: expected a folder of a volume, not the volume's own root")
    return Volume(skills=skills, own=own, backup=Root(backup_dir, calls))


def make_watched(skills: Root, own: Root) -> None:
    """Make the folder that the gateway watches, where it is missing.

    Raises:
        OSError: the disk refused, or something else stands there.
    """
    if not skills.path.is_dir():
        # Made beside and renamed in, so that it never stands there with the narrow mode that a umask gives it.
        own.make_folders(skills.path.name)
        own.move(skills.path.name, skills.beside(), skills.path.name)
