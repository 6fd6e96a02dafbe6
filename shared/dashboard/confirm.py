"""The pages on which a person sees what an action would do, and says that it shall be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.dashboard.members import items, number, part
from shared.dashboard.shelf_view import Held, held

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.dashboard.links import Links
    from shared.model import Withheld

_LISTED = 200
SYNC, ROLLBACK, RELEASE = "/actions/sync", "/actions/rollback", "/actions/release"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A list with its heading; `count` is how many there are in all, `more` how many of them are not listed."""

    title: str
    entries: tuple[str, ...]
    count: int

    @property
    def more(self) -> int:
        """How many are not listed."""
        return self.count - len(self.entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """One such page; `action` is empty where there is nothing to do. `working` is told while it is being done."""

    title: str
    texts: tuple[str, ...]
    action: str = ""
    button: str = ""
    working: str = ""
    fields: tuple[tuple[str, str], ...] = ()
    lists: tuple[Listed, ...] = ()
    held: tuple[Held, ...] = ()


def rollback_purpose(to: str) -> str:
    """Return what the form of one rollback is for."""
    return f"{ROLLBACK}\n{to}"


def release_purpose(keys: Sequence[str]) -> str:
    """Return what the form of one release is for."""
    return "\n".join([RELEASE, *sorted(keys)])


def confirm_sync(token: str) -> Confirm:
    """Describe a sync."""
    return Confirm(
        title="Sync now",
        texts=(
            "The branch head is read, what changed is judged, and what passes goes live. It takes up to 25 seconds.",
        ),
        action=SYNC,
        button="Sync now",
        working="Syncing: reading the branch, judging, deploying.",
        fields=(("token", token),),
    )


def confirm_rollback(found: Mapping[str, object], token: str) -> Confirm:
    """Describe a rollback, skill by skill.

    Args:
        found: As `service.status.diff` tells it, from what is live.
        token: The form's.
    """
    here, there, counts = str(part(found, "from").get("id")), str(part(found, "to").get("id")), part(found, "counts")
    lists = _changes(found)
    if not any(each.count for each in lists):
        return Confirm(title=f"Roll back to {there}", texts=("It would change nothing.",))
    undo = f"To undo it afterwards, roll back to {here}." if number(counts, "published") else ""
    return Confirm(
        title=f"Roll back to {there}",
        texts=(f"From {here}, which is live, to the skills of {there}. Skills that are not named here stay.", undo),
        action=ROLLBACK,
        button=f"Roll back to {there}",
        working="Rolling back.",
        fields=(("token", token), ("to", there)),
        lists=tuple(each for each in lists if each.count),
    )


def confirm_release(listed: Sequence[Withheld], keys: Sequence[str], links: Links, token: str) -> Confirm:
    """Describe a release.

    Args:
        listed: What would be released.
        keys: What stands for each of them in a form.
        links: Where their lines are to be found.
        token: The form's.
    """
    return Confirm(
        title="Release withheld skills",
        texts=(
            "The rules judge these versions again; what breaks them stays withheld. A deletion that waits is done.",
        ),
        action=RELEASE,
        button=f"Release {len(listed)}",
        working="Releasing: reading the branch, judging, deploying.",
        fields=(("token", token), *(("skill", key) for key in keys)),
        held=held(listed, links),
    )


def _changes(found: Mapping[str, object]) -> tuple[Listed, ...]:
    counts = part(found, "counts")
    renewed = [each for each in items(found, "published") if isinstance(each, dict)]
    return (
        Listed(
            title="Come back or change",
            entries=tuple(map(_renewed, renewed[:_LISTED])),
            count=number(counts, "published"),
        ),
        _listed("Are removed", items(found, "removed"), number(counts, "removed")),
        _listed(
            "Newer versions held back, until they change or are released",
            items(found, "held_back"),
            number(counts, "held_back"),
        ),
    )


def _listed(title: str, entries: Sequence[object], count: int) -> Listed:
    return Listed(title=title, entries=tuple(str(each) for each in entries[:_LISTED]), count=count)


def _renewed(each: Mapping[str, object]) -> str:
    was = each.get("previous_version")
    return f"{each.get('name')}: {f'{was} becomes ' if was else 'comes back as '}{each.get('version')}"
