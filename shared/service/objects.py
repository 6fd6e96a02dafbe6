"""Reading and writing what a deployment consists of, so that a crash, a lost answer or a rival leaves nothing wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core import verify
from shared.core.canonical import digest_of
from shared.core.manifest import parse_manifest
from shared.core.names import object_name, record_name
from shared.core.verify import UnverifiedPointer
from shared.errors import ConflictError, NotFoundError, UnavailableError, UnverifiedError

if TYPE_CHECKING:
    from shared.model import DeploymentId, Digest, Manifest, Pointer, Trust
    from shared.ports import Store

_ATTEMPTS = 4


def read_object(store: Store, digest: Digest) -> bytes:
    """Read an archive or manifest and prove that it is the one.

    Raises:
        NotFoundError: `OBJECT_MISSING`.
        UnavailableError: `OBJECT_CORRUPT`, the content is not what its name says.
    """
    stored = store.get(object_name(digest))
    if stored is None:
        raise NotFoundError("OBJECT_MISSING", f"the store holds no object {digest}")
    if digest_of(stored.data) != digest:
        raise UnavailableError("OBJECT_CORRUPT", f"the object {digest} holds something else")
    return stored.data


def read_manifest(store: Store, digest: Digest) -> Manifest:
    """Read a manifest that a verified pointer names."""
    return parse_manifest(read_object(store, digest))


def write_object(store: Store, data: bytes) -> None:
    """Write an object under its digest, and make it young again where it exists.

    Garbage collection deletes old objects by generation. One that becomes live must therefore get a new generation, or it
    could be deleted between this write and the pointer's.

    Raises:
        ConflictError: `OBJECT_BUSY`, others kept writing it.
    """
    name = object_name(digest_of(data))
    generation = 0
    for _ in range(_ATTEMPTS):
        try:
            store.put(name, data, if_generation=generation)
        except ConflictError:
            stored = store.get(name)
            generation = 0 if stored is None else stored.generation
        else:
            return
    raise ConflictError("OBJECT_BUSY", f"{name} kept changing under the write")


def renew_object(store: Store, digest: Digest) -> None:
    """Make an existing object young again.

    Raises:
        NotFoundError: `OBJECT_MISSING`.
    """
    write_object(store, read_object(store, digest))


def read_record(store: Store, trust: Trust, deployment: DeploymentId) -> Pointer | None:
    """Read a deployment's record and prove that we signed it, and for that deployment; None when there is none.

    Raises:
        UnverifiedError: as `verify.read_record`; also when a genuine record stands in another one's place.
    """
    stored = store.get(record_name(deployment))
    return None if stored is None else _record_of(UnverifiedPointer(stored.data), trust, deployment)


def read_signed_record(store: Store, trust: Trust, deployment: DeploymentId) -> tuple[Pointer, bool] | None:
    """Read the same, and say whether the key that signed it is still a signer's; errors as `read_record`."""
    stored = store.get(record_name(deployment))
    if stored is None:
        return None
    envelope = UnverifiedPointer(stored.data)
    return _record_of(envelope, trust, deployment), verify.is_by_current_signer(envelope, trust)


def _record_of(envelope: UnverifiedPointer, trust: Trust, deployment: DeploymentId) -> Pointer:
    pointer = verify.read_record(envelope, trust)
    if pointer.deployment != deployment:
        raise UnverifiedError("pointer_unverifiable", f"the record of {deployment} is that of {pointer.deployment}")
    return pointer


def write_record(store: Store, deployment: DeploymentId, envelope: bytes) -> bool:
    """Write a deployment's record unless it is there: the first one stays. Returns whether this is the first."""
    return create_once(store, record_name(deployment), envelope)


def create_once(store: Store, name: str, data: bytes) -> bool:
    """Write an object that is written only once; one that is there already stays as it is, and False is returned."""
    try:
        store.put(name, data, if_generation=0)
    except ConflictError:
        return False
    return True


def swap(store: Store, name: str, data: bytes, *, if_generation: int) -> None:
    """Replace an object at that generation, and find out whether a lost answer was a success.

    Args:
        store: Where.
        name: The object.
        data: The new content; no two writers may want the very same bytes for different ends.
        if_generation: The generation that was read.

    Raises:
        ConflictError: another writer came first.
        UnavailableError: the store did not answer, and still holds something else.
    """
    try:
        store.put(name, data, if_generation=if_generation)
    except (ConflictError, UnavailableError):
        stored = store.get(name)
        if stored is None or stored.data != data:
            raise
