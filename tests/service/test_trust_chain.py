"""How the functions keep up with the trust: at every poll, when a check fails, and else once a minute."""

from __future__ import annotations

import pytest

from shared.core.names import trust_name
from shared.core.trust import MAX_WALK, sign_trust
from shared.errors import NotFoundError, UnavailableError
from shared.service.trust import LOOK_SECONDS, TrustChain, stored_trust, walk
from tests.fakes.breaking_store import BreakingStore
from tests.fakes.clock import FakeClock
from tests.fakes.memory_store import MemoryStore
from tests.fakes.trusted import OPERATOR, following
from tests.fakes.world import TRUST


def with_versions(count: int) -> MemoryStore:
    """A store with so many versions behind the first."""
    store, trust = MemoryStore(), TRUST
    for _ in range(count):
        trust = following(trust)
        store.put(trust_name(trust.version), sign_trust(trust, OPERATOR), if_generation=0)
    return store


def test_within_a_minute_the_store_is_not_asked_again_unless_it_must_be() -> None:
    store, clock = BreakingStore(with_versions(1)), FakeClock()
    chain = TrustChain(store, TRUST, clock)
    assert chain.newest().version == 2
    asked = len(store.calls)
    clock.move(LOOK_SECONDS - 1)
    assert chain.newest().version == 2
    assert len(store.calls) == asked
    chain.newest(fresh=True)
    assert len(store.calls) == asked + 1
    clock.move(LOOK_SECONDS)
    chain.newest()
    assert len(store.calls) == asked + 2


def test_a_newer_version_is_believed_at_the_next_look() -> None:
    store, clock = with_versions(1), FakeClock()
    chain = TrustChain(store, TRUST, clock)
    second = chain.newest()
    store.put(trust_name(3), sign_trust(following(second, epoch=2), OPERATOR), if_generation=0)
    assert chain.newest().version == 2
    assert chain.newest(fresh=True).epoch == 2


def test_a_store_that_does_not_answer_takes_nothing_back() -> None:
    store, clock = with_versions(1), FakeClock()
    chain = TrustChain(store, TRUST, clock)
    chain.newest()
    chain._store = BreakingStore(store, at=1)
    assert chain.newest(fresh=True).version == 2


def test_before_the_first_look_a_store_that_does_not_answer_is_an_outage() -> None:
    chain = TrustChain(BreakingStore(with_versions(1), at=1), TRUST, FakeClock())
    with pytest.raises(UnavailableError):
        chain.newest()
    assert chain.newest().version == 2


def test_a_store_that_was_rewound_takes_back_no_version_that_is_believed() -> None:
    store, clock = with_versions(2), FakeClock()
    chain = TrustChain(store, TRUST, clock)
    assert chain.newest().version == 3
    stored = store.get(trust_name(3))
    assert stored is not None
    store.delete(trust_name(3), if_generation=stored.generation)
    assert chain.newest(fresh=True).version == 3


def test_a_walk_is_bounded_and_goes_on_next_time() -> None:
    store = with_versions(MAX_WALK + 5)
    first, _ = walk(store, TRUST)
    assert first.version == MAX_WALK + 1
    assert walk(store, first)[0].version == MAX_WALK + 6


def test_a_trouble_is_told_and_ends_with_its_cause() -> None:
    store, clock = with_versions(1), FakeClock()
    generation = store.put(trust_name(3), b"rubbish", if_generation=0)
    chain = TrustChain(store, TRUST, clock)
    assert (chain.newest().version, chain.trouble) == (2, "trust_invalid")
    store.delete(trust_name(3), if_generation=generation)
    assert (chain.newest(fresh=True).version, chain.trouble) == (2, "")


def test_a_version_that_is_not_there_has_a_name() -> None:
    with pytest.raises(NotFoundError, match="TRUST_UNKNOWN"):
        stored_trust(MemoryStore(), 2)
