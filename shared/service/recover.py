"""After an operator has opened a new epoch: its first deployment goes on from the newest manifest that can be proved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared import log
from shared.core.decide import Decision
from shared.core.names import object_name
from shared.errors import ConflictError, InputError, NotFoundError, UnavailableError
from shared.model import Action
from shared.service.objects import read_manifest
from shared.service.pause import PARTY, tell_recovered
from shared.service.publish import Intent, publish

if TYPE_CHECKING:
    from shared.core.rewind import Witness
    from shared.model import Digest, Manifest, Trigger
    from shared.service.context import Context, Deadline
    from shared.service.live import Live


def recover(context: Context, live: Live, trigger: Trigger, deadline: Deadline) -> bool:
    """Publish sequence 1 of the new epoch from the newest manifest whose archives are all there; the source is not asked.

    Args:
        context: The ports.
        live: Without a pointer of this epoch.
        trigger: What set the call going.
        deadline: The pointer does not move after it.

    Returns:
        Whether it was published; the store must then be read again. If not, nothing complete is left to go on from: the
        sync then fetches what is missing (see `ground`).

    Raises:
        ConflictError: another instance came first.
    """
    if live.pointer is not None or not live.formers:
        return False
    found = complete_former(context, live)
    if found is None:
        log.warning("The newest manifest is not complete; what is missing is fetched again")
        return False
    witness, manifest = found
    intent = Intent(action=Action.RECOVER, trigger=trigger, commit=witness.pointer.commit, tell=lambda summary: summary)
    before = replace(live, pointer=witness.pointer, envelope=witness.envelope)
    publish(context, before, Decision(manifest=manifest), (), intent, deadline)
    told_recovered(context)
    return True


def complete_former(context: Context, live: Live) -> tuple[Witness, Manifest] | None:
    """Return what a new epoch goes on from; None where the newest readable manifest lacks archives, or there is none.

    An older one would take content back, and forget what was rolled back since.
    """
    witness, manifest = _newest(context, live)
    if witness is None or manifest is None:
        return None
    present = _archives(context)
    return (witness, manifest) if all(skill.archive in present for skill in manifest.skills.values()) else None


def told_recovered(context: Context) -> None:
    """Write down that the functions are back; never fails."""
    try:
        tell_recovered(context.store, PARTY, context.trust, context.clock.now())
    except (UnavailableError, ConflictError) as error:
        log.warning("The recovery was not written down", code=error.code)


def ground(context: Context, live: Live) -> Manifest | None:
    """Return what a sync can build on where nothing complete is left: the newest readable manifest, without lost archives.

    Of one whose signer is revoked only what it withholds counts: its content may be somebody else's.
    """
    _, manifest = _newest(context, live)
    if manifest is None:
        orphan = None if live.orphan is None else _readable(context, live.orphan)
        return None if orphan is None else replace(orphan, skills={})
    present = _archives(context)
    return replace(manifest, skills={key: skill for key, skill in manifest.skills.items() if skill.archive in present})


def _newest(context: Context, live: Live) -> tuple[Witness | None, Manifest | None]:
    for witness in live.formers:
        manifest = _readable(context, witness)
        if manifest is not None:
            return witness, manifest
    return None, None


def _archives(context: Context) -> set[Digest]:
    found: set[Digest] = set()
    after = ""
    prefix = object_name("")  # type: ignore[arg-type] # the folder of all of them
    while page := context.store.list(prefix, after=after):
        found.update(entry.name.removeprefix(prefix) for entry in page)  # type: ignore[misc]
        after = page[-1].name
    return found


def _readable(context: Context, witness: Witness) -> Manifest | None:
    try:
        return read_manifest(context.store, witness.pointer.manifest.sha256)
    except (NotFoundError, InputError):
        return None
    except UnavailableError as error:
        if error.code != "OBJECT_CORRUPT":
            raise
        return None
