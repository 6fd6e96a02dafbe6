"""The issuer's keys: how long they are kept, how often they are asked for, and what of an answer is taken."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.adapters.oidc_keys import (
    FAILED_SECONDS,
    FRESH_SECONDS,
    MAX_BYTES,
    MAX_KEYS,
    UNKNOWN_SECONDS,
    IssuerKeys,
)
from shared.errors import UnavailableError
from tests.fakes.clock import FakeClock
from tests.fakes.issuer import KEY_NAME, Issuer, jwk, rsa_key

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = jwk(KEY_NAME, rsa_key(KEY_NAME))


def streamed(answer: httpx.Response) -> httpx.Response:
    """The same answer as a network brings it: its body is not read yet."""
    return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(answer.content))


class Keys:
    """The adapter over an issuer that answers as it is told; `asked` counts."""

    def __init__(self, *listed: object) -> None:
        self.clock = FakeClock()
        self.asked: list[str] = []
        self.answer: Callable[[], httpx.Response] = lambda: httpx.Response(200, json={"keys": list(listed)})
        self.keys = IssuerKeys("https://issuer.example", self.clock, httpx.MockTransport(self._reply))

    def _reply(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        return streamed(self.answer())

    def knows(self, name: str = KEY_NAME) -> bool:
        return self.keys.key(name) is not None


def test_keys_are_asked_for_once_and_kept_for_an_hour() -> None:
    found = Keys(GOOD)
    assert [found.knows() for _ in range(3)] == [True] * 3
    found.clock.move(FRESH_SECONDS - 1)
    assert found.knows()
    assert found.asked == ["https://issuer.example/.well-known/jwks"]
    found.clock.move(2)
    assert found.knows()
    assert len(found.asked) == 2


def test_a_key_that_was_withdrawn_is_believed_for_an_hour_at_most() -> None:
    found = Keys(GOOD)
    assert found.knows()
    found.answer = lambda: httpx.Response(200, json={"keys": [jwk("key-2", rsa_key("key-2"))]})
    found.clock.move(FRESH_SECONDS)
    assert not found.knows()


def test_old_keys_are_not_used_while_the_issuer_is_down() -> None:
    found = Keys(GOOD)
    assert found.knows()
    found.answer = lambda: httpx.Response(503)
    found.clock.move(FRESH_SECONDS)
    with pytest.raises(UnavailableError, match="OIDC_KEYS_UNAVAILABLE"):
        found.knows()


def test_an_unknown_key_is_asked_for_once_a_minute_however_many_tokens_name_it() -> None:
    found = Keys(GOOD)
    assert not [name for name in ("x", "y", "z", "x") if found.knows(name)]
    assert len(found.asked) == 1
    found.clock.move(UNKNOWN_SECONDS)
    found.answer = lambda: httpx.Response(200, json={"keys": [GOOD, jwk("x", rsa_key("key-2"))]})
    assert (found.knows("x"), found.knows("y"), found.knows()) == (True, False, True)
    assert len(found.asked) == 2


def test_a_fault_that_passes_is_tried_over() -> None:
    found = Keys(GOOD)
    answers = [httpx.Response(503), httpx.Response(200, json={"keys": [GOOD]})]
    found.answer = lambda: answers.pop(0)
    assert found.knows()


def test_an_issuer_that_is_down_is_left_alone_for_a_moment() -> None:
    found = Keys(GOOD)
    good, found.answer = found.answer, lambda: httpx.Response(503)
    for _ in range(5):
        with pytest.raises(UnavailableError, match="OIDC_KEYS_UNAVAILABLE"):
            found.knows()
    assert len(found.asked) == 2
    found.clock.move(FAILED_SECONDS)
    found.answer = good
    assert found.knows()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"no json"),
        httpx.Response(200, content=b"[" * 20000),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"keys": {}}),
        httpx.Response(200, json={"keys": []}),
        httpx.Response(200, json={"keys": [GOOD] * (MAX_KEYS + 1)}),
        httpx.Response(200, content=json.dumps({"keys": [GOOD]}).encode() + b" " * MAX_BYTES),
        httpx.Response(302, headers={"Location": "https://stranger.example/keys"}),
        httpx.Response(404),
    ],
    ids=["text", "deep", "list", "object", "empty", "many", "large", "redirect", "missing"],
)
def test_an_answer_that_is_no_short_list_of_keys_is_not_taken(answer: httpx.Response) -> None:
    found = Keys()
    found.answer = lambda: answer
    with pytest.raises(UnavailableError, match="OIDC_KEYS_UNAVAILABLE"):
        found.knows()
    assert set(found.asked) == {"https://issuer.example/.well-known/jwks"}


@pytest.mark.parametrize(
    "other",
    [
        None,
        {},
        {"kid": 1},
        {**GOOD, "kid": "other", "kty": "oct", "k": "c2VjcmV0"},
        {**GOOD, "kid": "other", "alg": "HS256"},
        {**GOOD, "kid": "other", "use": "enc"},
        {"kid": "other", "kty": "RSA"},
        {**GOOD, "kid": "other", "n": "!"},
        jwk("other", rsa_key("short", 1024)),
    ],
)
def test_a_key_of_another_kind_is_left_out_and_the_others_stay(other: object) -> None:
    found = Keys(other, GOOD)
    assert (found.knows("other"), found.knows()) == (False, True)


def test_of_many_callers_at_once_one_asks() -> None:
    with Issuer() as issuer:
        keys = IssuerKeys(issuer.url, FakeClock())
        threads = [threading.Thread(target=keys.key, args=(KEY_NAME,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert keys.key(KEY_NAME) is not None
        assert issuer.asked == 1
