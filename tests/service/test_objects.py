"""Each object's write: what a crash, a lost answer, a rival or the garbage collection makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.core.canonical import digest_of
from shared.core.names import object_name, record_name
from shared.core.pointer import sign_pointer
from shared.errors import ConflictError, InputError, NotFoundError, UnavailableError, UnverifiedError
from shared.model import DeploymentId, Digest
from shared.service.objects import (
    create_once,
    read_manifest,
    read_object,
    read_record,
    renew_object,
    swap,
    write_object,
)
from tests.core.samples import a_pointer, digest
from tests.fakes.breaking_store import BreakingStore
from tests.fakes.memory_store import MemoryStore
from tests.fakes.world import SIGNER, TRUST

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = b"content"
NAME = object_name(digest_of(DATA))


class Rivalled(BreakingStore):
    """A store in which a rival does something right before some of our writes."""

    def __init__(self, store: MemoryStore, rival: Callable[[], object], *, times: int = 1) -> None:
        super().__init__(store)
        self._rival = rival
        self._times = times

    def put(self, name: str, data: bytes, *, if_generation: int) -> int:
        if self._times > 0:
            self._times -= 1
            self._rival()
        return super().put(name, data, if_generation=if_generation)


def generation(store: MemoryStore, name: str = NAME) -> int:
    stored = store.get(name)
    assert stored is not None
    return stored.generation


def test_an_object_is_read_only_when_it_is_what_its_name_says() -> None:
    store = MemoryStore()
    with pytest.raises(NotFoundError, match="OBJECT_MISSING"):
        read_object(store, digest_of(DATA))
    write_object(store, DATA)
    assert read_object(store, digest_of(DATA)) == DATA
    store.put(NAME, b"other", if_generation=generation(store))
    with pytest.raises(UnavailableError, match="OBJECT_CORRUPT"):
        read_object(store, digest_of(DATA))


def test_an_object_that_is_no_manifest_is_refused_as_one() -> None:
    store = MemoryStore()
    write_object(store, DATA)
    with pytest.raises(InputError):
        read_manifest(store, digest_of(DATA))


def test_an_object_that_is_written_again_gets_a_new_generation_so_that_no_collector_takes_it() -> None:
    store = MemoryStore()
    write_object(store, DATA)
    first = generation(store)
    write_object(store, DATA)
    second = generation(store)
    renew_object(store, digest_of(DATA))
    assert first < second < generation(store)


def test_writing_an_object_mends_one_that_is_damaged() -> None:
    store = MemoryStore()
    store.put(NAME, b"rubbish", if_generation=0)
    write_object(store, DATA)
    assert read_object(store, digest_of(DATA)) == DATA


def test_an_object_that_is_collected_while_it_is_written_is_there_in_the_end() -> None:
    store = MemoryStore()
    write_object(store, DATA)
    rivalled = Rivalled(store, lambda: store.get(NAME) and store.delete(NAME, if_generation=generation(store)), times=4)
    write_object(rivalled, DATA)
    assert read_object(store, digest_of(DATA)) == DATA


def test_a_rival_that_writes_the_same_object_is_overwritten() -> None:
    store = MemoryStore()
    write_object(Rivalled(store, lambda: write_object(store, DATA), times=3), DATA)
    assert read_object(store, digest_of(DATA)) == DATA


def test_an_object_that_never_comes_to_rest_is_busy() -> None:
    store = MemoryStore()
    with pytest.raises(ConflictError, match="OBJECT_BUSY"):
        write_object(Rivalled(store, lambda: write_object(store, DATA), times=99), DATA)


def test_what_is_missing_or_damaged_cannot_be_made_young_again() -> None:
    store = MemoryStore()
    with pytest.raises(NotFoundError, match="OBJECT_MISSING"):
        renew_object(store, digest_of(DATA))
    store.put(NAME, b"rubbish", if_generation=0)
    with pytest.raises(UnavailableError, match="OBJECT_CORRUPT"):
        renew_object(store, digest_of(DATA))
    assert store.get(NAME) is not None


def test_what_is_written_once_stays_as_it_was_first() -> None:
    store = MemoryStore()
    create_once(store, "events/x", b"first")
    create_once(store, "events/x", b"second")
    stored = store.get("events/x")
    assert stored is not None
    assert stored.data == b"first"


# Compare and swap


def test_a_swap_at_the_generation_that_was_read_succeeds() -> None:
    store = MemoryStore()
    swap(store, "x", b"1", if_generation=0)
    swap(store, "x", b"2", if_generation=generation(store, "x"))
    assert store.get("x").data == b"2"  # type: ignore[union-attr]


def test_a_swap_that_comes_second_loses_and_changes_nothing() -> None:
    store = MemoryStore()
    swap(store, "x", b"rival", if_generation=0)
    with pytest.raises(ConflictError):
        swap(store, "x", b"mine", if_generation=0)
    assert store.get("x").data == b"rival"  # type: ignore[union-attr]


def test_a_swap_whose_answer_was_lost_is_recognised_as_done() -> None:
    store = MemoryStore()
    swap(BreakingStore(store, at=1, after=True), "x", b"mine", if_generation=0)
    assert store.get("x").data == b"mine"  # type: ignore[union-attr]


def test_a_swap_that_conflicts_with_its_own_first_attempt_is_recognised_as_done() -> None:
    # Clients repeat a write whose answer was lost by themselves; what comes back then is a conflict.
    store = MemoryStore()
    swap(Rivalled(store, lambda: store.put("x", b"mine", if_generation=0)), "x", b"mine", if_generation=0)
    assert store.get("x").data == b"mine"  # type: ignore[union-attr]


def test_a_swap_that_did_not_happen_and_got_no_answer_says_so() -> None:
    store = MemoryStore()
    with pytest.raises(UnavailableError):
        swap(BreakingStore(store, at=1), "x", b"mine", if_generation=0)
    assert store.get("x") is None


# Records


def recorded(seq: int, under: str, **changes: object) -> MemoryStore:
    store = MemoryStore()
    store.put(record_name(DeploymentId(under)), sign_pointer(a_pointer(seq, **changes), SIGNER), if_generation=0)
    return store


def test_a_record_is_read_only_when_we_signed_it_and_it_is_that_deployments_own() -> None:
    assert read_record(MemoryStore(), TRUST, DeploymentId("1-2")) is None
    assert read_record(recorded(2, "1-2"), TRUST, DeploymentId("1-2")) == a_pointer(2)
    for store in (recorded(1, "1-2"), recorded(3, "1-2")):
        with pytest.raises(UnverifiedError, match="pointer_unverifiable"):
            read_record(store, TRUST, DeploymentId("1-2"))
    with pytest.raises(UnverifiedError, match="wrong_channel"):
        read_record(recorded(2, "1-2", repo="octo/other"), TRUST, DeploymentId("1-2"))


def test_digests_are_those_of_the_samples() -> None:
    assert digest(1) == Digest(digest_of(b"1"))
