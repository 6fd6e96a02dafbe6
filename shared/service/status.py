"""What operators are told: the skills, the history. Every answer costs a bounded number of reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.change_set import between, rolled_back
from shared.core.decide import changes
from shared.core.manifest import empty_manifest, withheld_document
from shared.core.manifest_view import ManifestView
from shared.core.names import CURRENT, parse_deployment
from shared.core.summary import brief
from shared.core.verify import UnverifiedPointer, read_pointer
from shared.errors import InputError, NotFoundError
from shared.model import Action, DeploymentId
from shared.service.objects import read_manifest, read_object, read_record

if TYPE_CHECKING:
    from shared.model import LiveSkill, Manifest, Pointer, SkillId, Trust
    from shared.ports import Store, Together

MAX_PAGE = 200
_HISTORY_PAGE = 50
MAX_LISTED = 1000
"""A difference names so many of each kind; its counts say how many there are."""


def skills(store: Store, trust: Trust, *, after: str, limit: int) -> dict[str, object]:
    """List live skills, one page, and all that is withheld of the same page's range of ids.

    Args:
        store: Where.
        trust: Whose signature counts.
        after: Ids behind this one, in order.
        limit: 1 to 200 of each.

    Raises:
        InputError: `LIMIT_INVALID`.
        NotFoundError: `NO_DEPLOYMENT`.
    """
    _check_limit(limit, MAX_PAGE)
    pointer = live_pointer(store, trust)
    manifest = read_manifest(store, pointer.manifest.sha256)
    ids = sorted(key for key in manifest.skills.keys() | manifest.withheld.keys() if key > after)
    page = ids[:limit]
    return {
        "deploymentId": pointer.deployment,
        "commit": pointer.commit,
        "count": len(manifest.skills),
        "skills": [_skill(manifest.skills[key]) for key in page if key in manifest.skills],
        "withheld": {key: withheld_document(manifest.withheld[key]) for key in page if key in manifest.withheld},
        "next": page[-1] if len(ids) > limit else None,
    }


def deployments(store: Store, trust: Trust, together: Together, *, before: str | None, limit: int) -> dict[str, object]:
    """List deployments, newest first, by sequence number.

    Args:
        store: Where.
        trust: Whose signature counts.
        together: Runs the reads side by side.
        before: Only those before this deployment; None begins with the live one.
        limit: 1 to 50.

    Raises:
        InputError: `LIMIT_INVALID`, `DEPLOYMENT_ID_INVALID`.
        NotFoundError: `NO_DEPLOYMENT`.
    """
    _check_limit(limit, _HISTORY_PAGE)
    live = live_pointer(store, trust)
    epoch, seq = (live.epoch, live.seq + 1) if before is None else _behind(store, trust, live, before)
    numbers = range(max(1, seq - limit), seq)[::-1]
    names = [DeploymentId(f"{epoch}-{number}") for number in numbers]
    found = together([lambda name=name: _pointer_of(store, trust, live, name) for name in names])  # type: ignore[misc]
    return {
        "deployments": [brief(pointer) for pointer in found if pointer is not None],
        "next": names[-1] if names and (numbers[-1] > 1 or epoch > 1) else None,
    }


def deployment(store: Store, trust: Trust, name: str) -> dict[str, object]:
    """Describe one deployment with what it changed against its predecessor, and what was found in what it withheld.

    `published`, `removed` and `held` are None where the manifests were collected: of what is not known nothing is told.

    Raises:
        InputError: `DEPLOYMENT_ID_INVALID`.
        NotFoundError: `DEPLOYMENT_UNKNOWN`.
    """
    parse_deployment(name)
    pointer = known_pointer(store, trust, live_pointer(store, trust), name)
    signed = {
        **brief(pointer),
        "previous": pointer.previous,
        "previous_commit": pointer.previous_commit,
        "history_rewritten": pointer.history_rewritten,
        "manifest": pointer.manifest.sha256,
    }
    try:
        return {**signed, **_changes(store, pointer)}
    except NotFoundError:
        return {**signed, **dict.fromkeys(("withheld", "published", "removed", "held"))}


def diff(store: Store, trust: Trust, *, older: str | None, newer: str) -> dict[str, object]:
    """Say what going from one deployment to another changes, and what a rollback from the one to the other would hold back.

    Args:
        store: Where.
        trust: Whose signature counts.
        older: Where to start; None stands for what is live.
        newer: Where to go, which may well be the older one: that is what a rollback is asked about.

    Returns:
        `published`, `removed`, `withheld` (what is withheld there and was not here) and `held_back`, each with at most
        `MAX_LISTED` entries, and how many there are of each in `counts`; `withheld_now` of them, new or not.

    Raises:
        InputError: `DEPLOYMENT_ID_INVALID`.
        NotFoundError: `NO_DEPLOYMENT`, `DEPLOYMENT_UNKNOWN`, or `MANIFEST_COLLECTED`.
    """
    live = live_pointer(store, trust)
    here = live if older is None else known_pointer(store, trust, live, older)
    there = known_pointer(store, trust, live, newer)
    before, after = _view(store, here), _view(store, there)
    found = between(before, after)
    held = [item.id for item in rolled_back(before, after, here.commit).withheld]
    lists: dict[str, list[object]] = {
        "published": [_renewed(skill, before) for skill in found.published[:MAX_LISTED]],
        "removed": [skill.id for skill in found.removed[:MAX_LISTED]],
        "held_back": [*held[:MAX_LISTED]],
    }
    counts = {
        "published": len(found.published),
        "removed": len(found.removed),
        "withheld": len(found.withheld),
        "withheld_now": found.withheld_count,
        "held_back": len(held),
    }
    withheld = {item.id: withheld_document(item) for item in found.withheld[:MAX_LISTED]}
    return {"from": brief(here), "to": brief(there), **lists, "withheld": withheld, "counts": counts}


def _changes(store: Store, pointer: Pointer) -> dict[str, object]:
    after = read_manifest(store, pointer.manifest.sha256)
    nothing = empty_manifest(channel=after.channel, repo=after.repo, root=after.root, rules=after.rules)
    before = read_manifest(store, pointer.history[-1][1]) if pointer.history else nothing
    if pointer.action is Action.RECOVER:
        before = after  # an epoch opens with what was live
    decision = changes(before, after)
    return {
        "withheld": len(after.withheld),
        "published": [_change(before, after, key) for key in decision.published],
        "removed": list(decision.removed),
        "held": {item.id: withheld_document(item) for item in decision.withheld},
    }


def _behind(store: Store, trust: Trust, live: Pointer, before: str) -> tuple[int, int]:
    """Return epoch and sequence that the page ends before: the first deployment of an epoch names the last of the former."""
    epoch, seq = parse_deployment(before)
    first = _pointer_of(store, trust, live, DeploymentId(before)) if seq == 1 else None
    if first is None or first.previous is None:
        return epoch, seq
    former, last = parse_deployment(first.previous)
    return former, last + 1


def live_pointer(store: Store, trust: Trust) -> Pointer:
    """Read what is live.

    Raises:
        NotFoundError: `NO_DEPLOYMENT`.
        UnverifiedError: as `verify.read_pointer`.
    """
    stored = store.get(CURRENT)
    if stored is None:
        raise NotFoundError("NO_DEPLOYMENT", "nothing was deployed yet")
    return read_pointer(UnverifiedPointer(stored.data), trust)


def _pointer_of(store: Store, trust: Trust, live: Pointer, name: DeploymentId) -> Pointer | None:
    # The newest record may still be unwritten after a crash; the pointer itself says the same.
    if name == live.deployment:
        return live
    return read_record(store, trust, name)


def known_pointer(store: Store, trust: Trust, live: Pointer, name: str) -> Pointer:
    """Read one deployment's pointer by its name.

    Raises:
        InputError: `DEPLOYMENT_ID_INVALID`.
        NotFoundError: `DEPLOYMENT_UNKNOWN`.
        UnverifiedError: as `objects.read_record`.
    """
    parse_deployment(name)
    pointer = _pointer_of(store, trust, live, DeploymentId(name))
    if pointer is None:
        raise NotFoundError("DEPLOYMENT_UNKNOWN", f"there is no record of deployment {name}")
    return pointer


def _view(store: Store, pointer: Pointer) -> ManifestView:
    try:
        return ManifestView(read_object(store, pointer.manifest.sha256))
    except NotFoundError:
        raise NotFoundError(
            "MANIFEST_COLLECTED", f"deployment {pointer.deployment} is so old that its manifest was collected"
        ) from None


def _renewed(skill: LiveSkill, before: ManifestView) -> dict[str, object]:
    former = before.find(skill.id)
    return {"name": skill.id, "version": skill.version, "previous_version": None if former is None else former.version}


def _check_limit(limit: int, most: int) -> None:
    if not 1 <= limit <= most:
        raise InputError("LIMIT_INVALID", f"limit is 1 to {most}, got {limit}")


def _skill(skill: LiveSkill) -> dict[str, object]:
    return {
        "id": skill.id,
        "name": skill.name,
        "version": skill.version,
        "version_source": skill.version_source,
        "path": skill.path,
        "tree": skill.tree,
        "archive": skill.archive,
        "files": len(skill.files),
        "bytes": sum(file.size for file in skill.files),
    }


def _change(before: Manifest, after: Manifest, key: SkillId) -> dict[str, object]:
    former = before.skills.get(key)
    previous = None if former is None else former.version
    return {"name": key, "version": after.skills[key].version, "previous_version": previous}
