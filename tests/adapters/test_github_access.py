"""Tokens: how an App gets them, when they are replaced, and that nobody ever sees them."""

from __future__ import annotations

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from shared.adapters.github_access import PersonalAccess
from shared.adapters.github_app import App
from shared.adapters.github_expiry import HEADER
from shared.adapters.threads import in_threads
from shared.adapters.value_choice import REFUSED_SECONDS
from shared.core.credentials import TokenNote
from shared.core.plain_text import fingerprint
from shared.errors import ConfigError, RejectedError, SkillSyncError, UnavailableError
from tests.adapters.test_github_fake import FakeGitHub, answer, api, rest
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    import httpx

    from shared.adapters.github_api import Api

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHA = "5" * 40
EMPTY_TREE = {"sha": SHA, "tree": [], "truncated": False}


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, password: bytes | None = None) -> str:
    locked = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked).decode()


APP = App(id="12345", key_pems=(pem(KEY),))


class Forge:
    """A GitHub that gives out a new token at each request for one; `good` is the one that works."""

    def __init__(self) -> None:
        self.fake = FakeGitHub()
        self.clock = FakeClock()
        self.given: list[str] = []
        self.good: str | None = None
        self.fake.reply("skills/installation", body={"id": 77}, times=50)
        self.fake.do("/access_tokens", self._give, times=50)
        self.fake.do("/commits/", self._head, times=50)

    def _give(self, _: httpx.Request) -> httpx.Response:
        self.given.append(self.good or f"ghs_secret{len(self.given)}")
        expires = (self.clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return answer(201, {"token": self.given[-1], "expires_at": expires})

    def _head(self, request: httpx.Request) -> httpx.Response:
        right = self.good is None or request.headers.get("Authorization") == f"Bearer {self.good}"
        return answer(200, SHA.encode()) if right else answer(401, {"message": "Bad credentials"})

    def api(self, **options: Any) -> Api:  # noqa: ANN401 - passed on as they are
        return api(self.fake, app=APP, clock=self.clock, **options)


def head(forge: Api) -> bytes | None:
    return forge.get("/commits/HEAD").content


def sent(fake: FakeGitHub, match: str) -> list[str | None]:
    return [request.headers.get("Authorization") for request in fake.asked if match in request.url.path]


@pytest.mark.parametrize(
    ("granted", "asked"),
    [
        ({"contents": "write", "repository_hooks": "write", "issues": "write"}, True),
        ({"contents": "read", "repository_hooks": "read"}, True),
        ({"contents": "read"}, False),
        (None, False),
        ("all", False),
        ({"repository_hooks": ["read"]}, False),
    ],
)
def test_an_app_asks_to_see_webhooks_only_where_it_was_granted_that(granted: object, *, asked: bool) -> None:
    fake = FakeGitHub()
    fake.reply("skills/installation", body={"id": 77, "permissions": granted})
    wishes: list[dict[str, str]] = []

    def give(request: httpx.Request) -> httpx.Response:
        wishes.append(json.loads(request.content)["permissions"])
        return answer(201, {"token": "ghs_secret", "expires_at": "2099-01-01T00:00:00Z"})

    fake.do("/access_tokens", give)
    fake.reply("/commits/", body=SHA.encode())
    head(api(fake, app=APP, clock=FakeClock()))
    assert wishes == [{"contents": "read", "metadata": "read", **({"repository_hooks": "read"} if asked else {})}]


def test_an_app_proves_itself_by_a_jwt_that_its_public_key_confirms() -> None:
    forge = Forge()
    head(forge.api())
    proofs = {*sent(forge.fake, "skills/installation"), *sent(forge.fake, "/access_tokens")}
    assert len(proofs) == 1
    jwt = (proofs.pop() or "").removeprefix("Bearer ")
    start, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in jwt.split("."))
    KEY.public_key().verify(signature, jwt.rpartition(".")[0].encode(), PKCS1v15(), hashes.SHA256())
    now = int(forge.clock.now().timestamp())
    assert json.loads(start) == {"alg": "RS256", "typ": "JWT"}
    assert json.loads(claims) == {"iat": now - 60, "exp": now + 540, "iss": "12345"}
    assert "=" not in jwt


def test_the_token_is_for_this_repository_and_reading_alone() -> None:
    forge = Forge()
    head(forge.api())
    request = forge.fake.asked[1]
    assert (request.method, request.url.path) == ("POST", "/app/installations/77/access_tokens")
    assert json.loads(request.content) == {
        "repositories": ["skills"],
        "permissions": {"contents": "read", "metadata": "read"},
    }


def test_a_token_is_used_until_five_minutes_before_its_end() -> None:
    forge = Forge()
    asked = forge.api()
    head(asked)
    forge.clock.move(3600 - 300 - 1)
    head(asked)
    assert len(forge.given) == 1
    forge.clock.move(1)
    head(asked)
    assert sent(forge.fake, "/commits/") == [f"Bearer {forge.given[index]}" for index in (0, 0, 1)]


def test_a_refused_token_is_replaced_once() -> None:
    forge = Forge()
    asked = forge.api()
    head(asked)
    forge.good = "ghs_revived"
    assert head(asked) == SHA.encode()
    assert forge.given == ["ghs_secret0", "ghs_revived"]


def test_a_token_that_another_thread_has_replaced_already_is_not_replaced_again() -> None:
    forge = Forge()
    asked = forge.api()
    head(asked)
    old = asked.access.known().current()
    renewed = [asked.access.renewed(old, asked._send_small, lambda: 30.0) for _ in range(2)]
    assert renewed == ["ghs_secret1", "ghs_secret1"]


def test_a_new_token_that_is_refused_too_is_the_end() -> None:
    fake = FakeGitHub()
    clock = FakeClock()
    token = {"token": "ghs_x", "expires_at": "2027-01-01T00:00:00Z"}
    fake.reply("skills/installation", body={"id": 77}, times=9)
    fake.reply("/access_tokens", 201, token, times=9)
    fake.reply("/commits/", 401, times=9)
    with pytest.raises(RejectedError, match=r"SOURCE_DENIED.*401"):
        head(api(fake, app=APP, clock=clock))
    assert len(sent(fake, "/commits/")) == 2


def test_a_refused_personal_token_is_not_tried_again() -> None:
    fake = FakeGitHub()
    fake.reply("/commits/", 401)
    with pytest.raises(RejectedError, match=r"SOURCE_DENIED.*401"):
        head(api(fake, tokens=["t0ken"]))
    assert sent(fake, "/commits/") == ["Bearer t0ken"]


NEW, OLD = "github_pat_new_thisMustNeverBeShown", "github_pat_old_thisMustNeverBeShown"
BEARERS = {"new": f"Bearer {NEW}", "old": f"Bearer {OLD}"}


def knows(fake: FakeGitHub, *good: str, otherwise: int = 401) -> None:
    """Let the stand-in show the head to these tokens only."""

    def respond(request: httpx.Request) -> httpx.Response:
        right = request.headers.get("Authorization") in {f"Bearer {token}" for token in good}
        return answer(200, SHA.encode()) if right else answer(otherwise, {"message": "no"})

    fake.do("/commits/", respond, times=50)


def test_of_two_tokens_that_work_the_newest_is_used() -> None:
    fake = FakeGitHub()
    knows(fake, NEW, OLD)
    head(api(fake, tokens=[NEW, OLD]))
    assert sent(fake, "/commits/") == [BEARERS["new"]]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_while_the_newest_token_is_refused_the_old_one_is_used_and_costs_no_second_request(status: int) -> None:
    fake, clock = FakeGitHub(), FakeClock()
    knows(fake, OLD, otherwise=status)
    asked = api(fake, tokens=[NEW, OLD], clock=clock)
    for _ in range(3):
        assert head(asked) == SHA.encode()
    assert sent(fake, "/commits/") == [BEARERS["new"], *[BEARERS["old"]] * 3]
    clock.move(REFUSED_SECONDS)
    head(asked)
    assert sent(fake, "/commits/")[4:] == [BEARERS["new"], BEARERS["old"]]


def test_the_newest_token_is_used_again_when_it_works_again() -> None:
    fake, clock = FakeGitHub(), FakeClock()
    fake.reply("/commits/", 401)
    knows(fake, NEW, OLD)
    asked = api(fake, tokens=[NEW, OLD], clock=clock)
    head(asked)
    clock.move(REFUSED_SECONDS)
    head(asked)
    assert sent(fake, "/commits/") == [BEARERS["new"], BEARERS["old"], BEARERS["new"]]


def test_a_revoked_old_token_leads_back_to_the_newest_at_once() -> None:
    fake = FakeGitHub()
    fake.reply("/commits/", 401)
    knows(fake, OLD)
    asked = api(fake, tokens=[NEW, OLD])
    head(asked)
    fake._scripts.clear()
    knows(fake, NEW)
    assert head(asked) == SHA.encode()
    assert sent(fake, "/commits/")[2:] == [BEARERS["old"], BEARERS["new"]]


@pytest.mark.parametrize(
    ("status", "code"), [(401, "SOURCE_DENIED"), (403, "SOURCE_DENIED"), (404, "SOURCE_NOT_FOUND")]
)
def test_two_tokens_that_are_both_refused_are_two_requests_and_an_error(status: int, code: str) -> None:
    fake = FakeGitHub()
    knows(fake, otherwise=status)
    asked = api(fake, tokens=[NEW, OLD])
    for _ in range(2):
        with pytest.raises(RejectedError, match=code) as caught:
            head(asked)
        assert "thisMustNeverBeShown" not in str(caught.value)
    assert sent(fake, "/commits/") == [BEARERS["new"], BEARERS["old"]] * 2


@pytest.mark.parametrize("status", [403, 404, 422])
def test_an_answer_that_the_caller_understands_refuses_no_token(status: int) -> None:
    fake = FakeGitHub()
    knows(fake, OLD, otherwise=status)
    asked = api(fake, tokens=[NEW, OLD])
    assert asked.get("/commits/x", also={status}).status == status
    assert sent(fake, "/commits/") == [BEARERS["new"]]


def test_a_limit_is_no_refusal_of_the_token() -> None:
    fake = FakeGitHub()
    fake.reply("/commits/", 403, {}, {"Retry-After": "60"})
    asked = api(fake, tokens=[NEW, OLD])
    with pytest.raises(UnavailableError, match="SOURCE_RATE_LIMITED"):
        head(asked)
    assert sent(fake, "/commits/") == [BEARERS["new"]]
    assert asked.access.known().current() == NEW


def test_the_end_of_the_token_that_was_accepted_is_noted() -> None:
    fake = FakeGitHub()
    fake.reply("/commits/", 401, b"", {HEADER: "2020-01-01 00:00:00 UTC"})
    fake.reply("/commits/", 200, SHA.encode(), {HEADER: "2027-02-18 04:00:00 UTC"})
    asked = api(fake, tokens=[NEW, OLD])
    assert asked.access.note() is None
    head(asked)
    assert asked.access.note() == TokenNote(
        fingerprint=fingerprint(OLD), expires_at=datetime(2027, 2, 18, 4, 0, 0, tzinfo=UTC)
    )


def test_without_a_token_and_for_an_app_nothing_is_noted() -> None:
    fake, forge = FakeGitHub(), Forge()
    fake.reply("/commits/", 200, SHA.encode(), {HEADER: "2027-02-18 04:00:00 UTC"})
    fake._scripts += forge.fake._scripts
    for asked in (api(fake), api(fake, app=APP, clock=forge.clock)):
        head(asked)
        assert asked.access.note() is None


# two keys of an App


OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
TWO_KEYS = App(id="12345", key_pems=(pem(OTHER_KEY), pem(KEY)))


def signed_by(request: httpx.Request, key: rsa.RSAPrivateKey) -> bool:
    signed, _, signature = request.headers["Authorization"].removeprefix("Bearer ").rpartition(".")
    try:
        key.public_key().verify(
            base64.urlsafe_b64decode(signature + "=="), signed.encode(), PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        return False
    return True


class Keys:
    """A GitHub that believes what some keys have signed, and remembers by which key it was asked."""

    def __init__(self, *good: rsa.RSAPrivateKey) -> None:
        self.forge = Forge()
        self.good = good
        self.seen: list[str] = []
        self.fake = FakeGitHub()
        self.fake.do("skills/installation", lambda request: self._judge(request, answer(200, {"id": 77})), times=50)
        self.fake.do("/access_tokens", lambda request: self._judge(request, self.forge._give(request)), times=50)
        self.fake.reply("/commits/", body=SHA.encode(), times=50)
        self.api = api(self.fake, app=TWO_KEYS, clock=self.forge.clock)

    def _judge(self, request: httpx.Request, good: httpx.Response) -> httpx.Response:
        self.seen.append("new" if signed_by(request, OTHER_KEY) else "old")
        return good if any(signed_by(request, key) for key in self.good) else answer(401, {})


def test_of_two_keys_that_are_known_the_newest_signs() -> None:
    keys = Keys(KEY, OTHER_KEY)
    head(keys.api)
    assert keys.seen == ["new", "new"]


def test_while_the_newest_key_is_refused_the_old_one_signs_and_costs_no_further_request() -> None:
    keys = Keys(KEY)
    head(keys.api)
    assert keys.seen == ["new", "old", "old"]
    keys.seen.clear()
    for _ in range(2):
        keys.api.access.renewed(keys.api.access.known().current(), keys.api._send_small, lambda: 30.0)
    assert keys.seen == ["old"] * 4
    keys.seen.clear()
    keys.forge.clock.move(3600)
    keys.good = (OTHER_KEY,)
    head(keys.api)
    assert keys.seen == ["new", "new"]


def test_a_key_that_is_refused_at_the_second_step_is_replaced_too() -> None:
    keys = Keys(KEY)
    keys.fake._scripts.insert(0, ("skills/installation", lambda _: answer(200, {"id": 77})))
    head(keys.api)
    assert keys.seen == ["new", "old", "old"]


def test_two_keys_that_are_both_refused_are_the_end() -> None:
    keys = Keys()
    with pytest.raises(RejectedError, match=r"SOURCE_DENIED.*GITHUB_APP_KEY"):
        head(keys.api)
    assert keys.seen == ["new", "old"]


@pytest.mark.parametrize(
    ("status", "code"), [(404, "SOURCE_NOT_FOUND"), (403, "SOURCE_DENIED"), (422, "SOURCE_DENIED")]
)
def test_other_refusals_are_not_the_keys_fault(status: int, code: str) -> None:
    fake = FakeGitHub()
    fake.reply("skills/installation", status)
    with pytest.raises(RejectedError, match=code):
        head(api(fake, app=TWO_KEYS, clock=FakeClock()))
    assert len(fake.asked) == 1


def test_an_app_has_a_key() -> None:
    with pytest.raises(ConfigError, match="GITHUB_APP_INVALID"):
        App(id="12345", key_pems=())


def test_no_token_means_no_header() -> None:
    fake = FakeGitHub()
    fake.reply("/commits/", body=SHA.encode())
    head(api(fake))
    assert sent(fake, "/commits/") == [None]


def test_many_threads_ask_for_one_token() -> None:
    forge = Forge()
    asked = forge.api()
    in_threads([lambda: head(asked)] * 8)
    assert len(forge.given) == 1


def test_waiting_for_another_threads_token_ends_with_the_deadline() -> None:
    forge = Forge()
    entered, leave = threading.Event(), threading.Event()

    def slow(_: httpx.Request) -> httpx.Response:
        entered.set()
        leave.wait(10)
        return answer(200, {"id": 77})

    fake = FakeGitHub()
    fake.do("skills/installation", slow)
    fake.do("/access_tokens", forge._give)
    fake.reply("/commits/", body=SHA.encode(), times=2)
    shared = api(fake, app=APP, clock=forge.clock)
    hurried = type(shared)(
        repository=shared.repository,
        wire=shared.wire,
        access=shared.access,
        limits=shared.limits,
        seconds=lambda: 0.01,
    )
    thread = threading.Thread(target=head, args=[shared])
    thread.start()
    try:
        assert entered.wait(10)
        with pytest.raises(UnavailableError, match="SOURCE_TOO_SLOW"):
            head(hurried)
    finally:
        leave.set()
        thread.join()
    assert head(shared) == SHA.encode()


@pytest.mark.parametrize(
    ("match", "status", "body", "error", "code"),
    [
        ("skills/installation", 401, {}, RejectedError, "SOURCE_DENIED"),
        ("skills/installation", 404, {}, RejectedError, "SOURCE_NOT_FOUND"),
        ("skills/installation", 301, {}, RejectedError, "SOURCE_MOVED"),
        ("skills/installation", 403, {}, RejectedError, "SOURCE_DENIED"),
        ("skills/installation", 429, {}, UnavailableError, "SOURCE_RATE_LIMITED"),
        ("skills/installation", 200, {"id": "77/../.."}, UnavailableError, "SOURCE_CORRUPT"),
        ("skills/installation", 200, {"id": True}, UnavailableError, "SOURCE_CORRUPT"),
        ("skills/installation", 200, [], UnavailableError, "SOURCE_CORRUPT"),
        ("/access_tokens", 422, {}, RejectedError, "SOURCE_DENIED"),
        ("/access_tokens", 200, {}, UnavailableError, "SOURCE_UNAVAILABLE"),
        ("/access_tokens", 201, {}, UnavailableError, "SOURCE_CORRUPT"),
        (
            "/access_tokens",
            201,
            {"token": "a\r\nb", "expires_at": "2027-01-01T00:00:00Z"},
            UnavailableError,
            "SOURCE_CORRUPT",
        ),
        (
            "/access_tokens",
            201,
            {"token": "é", "expires_at": "2027-01-01T00:00:00Z"},
            UnavailableError,
            "SOURCE_CORRUPT",
        ),
        ("/access_tokens", 201, {"token": "a", "expires_at": "soon"}, UnavailableError, "SOURCE_CORRUPT"),
        (
            "/access_tokens",
            201,
            {"token": "a", "expires_at": "2027-01-01T00:00:00"},
            UnavailableError,
            "SOURCE_CORRUPT",
        ),
    ],
)
def test_what_goes_wrong_on_the_way_to_a_token(
    match: str, status: int, body: object, error: type[SkillSyncError], code: str
) -> None:
    fake = FakeGitHub()
    fake.reply(match, status, body)
    forge = Forge()
    fake._scripts += forge.fake._scripts
    with pytest.raises(error, match=code) as caught:
        head(api(fake, app=APP, clock=forge.clock))
    assert sent(fake, "/commits/") == []
    assert "ghs_" not in str(caught.value)


@pytest.mark.parametrize("id_", ["", "12 345", "12345\n", "é", "a/b", "1" * 65])
def test_an_app_id_of_another_form_is_refused(id_: str) -> None:
    with pytest.raises(ConfigError, match="GITHUB_APP_INVALID"):
        App(id=id_, key_pems=APP.key_pems)


WRONG_KEYS = {
    "empty": "",
    "text": "hunter2",
    "public": KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode(),
    "elliptic": pem(ec.generate_private_key(ec.SECP256R1())),
    "locked": pem(KEY, password=b"hunter2"),
    "cut": APP.key_pems[0][:800],
    "mangled": APP.key_pems[0].replace("A", "é"),
}


@pytest.mark.parametrize("name", WRONG_KEYS)
def test_a_key_that_is_no_open_rsa_key_is_refused_unquoted(name: str) -> None:
    with pytest.raises(ConfigError, match="GITHUB_APP_INVALID") as caught:
        App(id="12345", key_pems=(WRONG_KEYS[name],))
    assert "hunter2" not in str(caught.value)
    assert "BEGIN" not in str(caught.value)


@pytest.mark.parametrize("token", ["a b", "a\n", "a\r\nX-Evil: 1", "é", "\x00", "a" * 5000])
def test_a_token_that_cannot_stand_in_a_header_is_refused_unquoted(token: str) -> None:
    with pytest.raises(ConfigError, match="GITHUB_TOKEN_INVALID") as caught:
        PersonalAccess([token], FakeClock())
    assert token not in str(caught.value)


def test_the_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(APP)


def test_an_app_reads_the_head_like_anybody() -> None:
    forge = Forge()
    assert rest(forge.fake, app=APP, clock=forge.clock).head(None) == SHA
