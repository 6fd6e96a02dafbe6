"""A volume with a puller on it, over a world in memory; a restart is a new puller on the same folders."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from shared.core.discover import SKILL_FILE
from shared.puller.build import Parts, assemble
from shared.puller.calls import Calls
from shared.puller.client import ReleaseClient
from shared.puller.trust import VolumeTrust
from shared.puller.upkeep import REPAIR
from shared.puller.volume import open_volume
from tests.fakes.release_transport import ReleaseFunction
from tests.fakes.world import TRUST, World, skill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shared.model import Trust
    from shared.puller.probe import Probe
    from shared.puller.report import Result

BOTH = ("tree", "flat")


class Quick(Calls):
    """Waits for no disk: what survives a loss of power cannot be tested here, and everything else is the same."""

    def sync(self, fd: int) -> None:
        del fd

    def sync_disk(self, fd: int) -> None:
        del fd


class Edge:
    """The volume side. `calls` changes the disk, so that a test can count or break what it does."""

    def __init__(
        self,
        folder: Path,
        world: World | None = None,
        *,
        layouts: tuple[str, ...] = BOTH,
        anchor: Trust = TRUST,
        max_bytes: int | None = None,
    ) -> None:
        """`max_bytes`: what backups may take; None keeps none."""
        self.max_bytes = max_bytes
        self.probe: Probe | None = None  # asks the gateway, from the next restart on
        self.drift = REPAIR
        self.stopping: Callable[[], bool] = bool
        self.folder = folder
        self.skills = folder / "skills"
        self.backups = folder / "backups" / "skills"
        self.world = world or World()
        self.function = ReleaseFunction(self.world)
        self.layouts = layouts
        self.calls: Calls = Quick()
        self.anchor = anchor
        self.restart()

    def restart(self) -> None:
        """Begin anew with what the volume holds."""
        self.volume = open_volume(self.skills, self.backups, self.calls)
        self.client = ReleaseClient(self.function.client(), self.world.clock)
        self.trust = VolumeTrust(self.volume.own, self.anchor, self.world.clock)
        self.follower = assemble(
            Parts(
                volume=self.volume,
                client=self.client,
                trust=self.trust,
                clock=self.world.clock,
                layouts=self.layouts,
                backup_max_bytes=self.max_bytes,
                probe=self.probe,
                drift=self.drift,
                stopping=self.stopping,
            )
        )

    def look(self) -> Result:
        return self.follower.look()

    def files(self) -> dict[str, bytes]:
        """Everything in the skills folder but the reload mark, links by their target."""
        found: dict[str, bytes] = {}
        for path in self.skills.rglob("*"):
            if path.is_symlink():
                found[str(path.relative_to(self.skills))] = b"-> " + str(path.readlink()).encode()
            elif path.is_file() and path.name != ".reload":
                found[str(path.relative_to(self.skills))] = path.read_bytes()
        return found

    def snapshot(self) -> dict[str, object]:
        """Everything in the skills and backup folders, empty folders and the reload mark too, with modes."""
        found: dict[str, object] = {}
        for path in (each for root in (self.skills, self.backups) for each in root.rglob("*")):
            name, mode = str(path.relative_to(self.folder)), stat.S_IMODE(path.lstat().st_mode)
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            else:
                found[name] = (mode, "folder" if path.is_dir() else path.read_bytes())
        return found

    def wanted(self) -> dict[str, bytes]:
        """What the live manifest puts there."""
        wanted: dict[str, bytes] = {}
        for key, files in self.world.live().items():
            if "tree" in self.layouts:
                wanted |= {f"{key}/{path}": data for path, data in files.items()}
            if "flat" in self.layouts:
                wanted[f"{key}.md"] = files[SKILL_FILE]
        return wanted

    def reports(self) -> list[tuple[object, object, object]]:
        """What was reported: outcome, deployment, reasons."""
        return [(item["outcome"], item["deployment"], item["reasons"]) for item in self.function.reports]


NAMES = st.sampled_from(["a", "b", "c-d"])
RESOURCES = st.dictionaries(st.sampled_from(["x", "y", "x/y", "x/z/w", "q.txt"]), st.binary(max_size=8), max_size=3)


@st.composite
def skill_sets(draw: st.DrawFn) -> dict[str, bytes]:
    """A small set of skills whose resources are now files, now folders of the same name."""
    files: dict[str, bytes] = {}
    for name in draw(st.sets(NAMES, max_size=3)):
        files |= skill(name, draw(st.text("ab", max_size=3)))
        chosen = draw(RESOURCES)
        for path, data in chosen.items():
            if not any(other != path and other.startswith(f"{path}/") for other in chosen):
                files[f"{name}/{path}"] = data
    return files
