"""Running as the volume's owner, so that the gateway beside us may do with the files what it may do with its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from shared import log
from shared.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def run_as_owner(folder: Path) -> None:
    """Give root's rights up for those of a folder's owner; nothing happens where that is root, or where we are not.

    Args:
        folder: The skills folder; while it is missing, the first folder above that is there counts.

    Raises:
        ConfigError: `CONFIG_INVALID`, this system does not let us.
    """
    found = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists()).stat()
    if os.geteuid() != 0 or found.st_uid == 0:
        return
    try:
        os.setgroups([])
        os.setgid(found.st_gid)
        os.setuid(found.st_uid)
    except OSError as error:
        raise ConfigError("CONFIG_INVALID", f"SKILLS_DIR: its owner {found.st_uid} cannot be run as: {error}") from None
    log.info("Runs as the volume's owner", uid=found.st_uid, gid=found.st_gid)
