"""No secret stands in a line: ours are known by value, others' by what they look like; what is no secret stays readable."""

from __future__ import annotations

import base64
import json
import random
import re
import string
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import log
from shared.config import Settings, load_settings
from shared.errors import ConfigError
from shared.log.redaction import MAX_SECRETS, REDACTED, KnownSecrets, remember
from tests.core.made_secrets import PLACEHOLDERS, SECRETS, made

RUN = 8
WORD = string.ascii_letters + string.digits
# Of these, a part is public: it names the account or the key.
PUBLIC = {
    "Telegram": r"^\d+:",
    "Discord": r"^[^.]+\.",
    "Discord webhook": r"^.*/webhooks/\d+/",
    "Terraform": r"^\w{14}\.atlasv1\.",
    "GCP service account": r"^.*?\"private_key\": \"",
}


def some(seed: object, count: int = 40, chars: str = WORD) -> str:
    rng = random.Random(str(seed))
    return "".join(rng.choice(chars) for _ in range(count))


def runs(text: str) -> set[str]:
    return {text[at : at + RUN] for at in range(len(text) - RUN + 1)}


def shown(value: object) -> str:
    return str(log.clean(value))


def leaks(secret: str, text: str) -> set[str]:
    return runs(secret) & runs(text)


# By value

ODD = 'p@ss/w"ord\\ünï+%&=?#1234567890'


def faces(secret: str) -> dict[str, str]:
    """How a secret turns up in foreign texts."""
    inside = base64.b64encode(f"x:{secret}".encode()).decode()
    return {
        "as it is": secret,
        "quoted": quote(secret, safe=""),
        "in JSON": json.dumps(secret),
        "in a repr": repr([secret]),
        "base64": base64.b64encode(secret.encode()).decode(),
        "base64 for URLs": base64.urlsafe_b64encode(secret.encode()).decode(),
        "base64 behind one byte": base64.b64encode(f"x{secret}".encode()).decode(),
        "Basic credentials": inside,
        "the first half": secret[: len(secret) // 2],
        "the second half": secret[len(secret) // 2 :],
        "twice": secret * 2,
        "wrapped": "\n".join(secret[at : at + 10] for at in range(0, len(secret), 10)),
        "split by what nobody sees": "\u200b".join(secret[at : at + 10] for at in range(0, len(secret), 10)),
    }


@pytest.mark.parametrize("face", faces(ODD))
@pytest.mark.parametrize("secret", [some(1), some(2, 12), ODD], ids=["long", "short", "odd"])
def test_a_known_secret_is_hidden_in_every_form(secret: str, face: str) -> None:
    remember([secret])
    written = faces(secret)[face]
    text = shown(f"before {written} behind")
    # What base64 makes of the secret's own bytes; at the ends it depends on what stands around.
    ours = written[4:-4] if "64" in face or face.startswith("Basic") else written
    assert not leaks(secret, text)
    if len(secret) > 12 or face not in {"the first half", "the second half", "wrapped", "split by what nobody sees"}:
        assert not leaks(ours.replace("\n", "").replace("\u200b", ""), text)
        assert REDACTED in text
    assert text.startswith("before ")
    assert text.endswith(" behind")


def test_a_password_may_look_like_an_escape() -> None:
    secret = "abc\\ndef\\nghi\\njkl"
    remember([secret])
    assert shown(f"x {secret} y") == f"x {REDACTED} y"


def test_no_cut_leaves_a_part_of_a_secret() -> None:
    secret = some("cut")
    remember([secret])
    token = made("GitHub classic")
    for before in [*range(440, 520), *range(2960, 3010), *range(3960, 4010)]:
        for each in (secret, token, made("JWT")):
            text = shown("x" * before + each)
            assert not leaks(each, text), before
            assert len(text) <= log.MAX_FIELD_CHARS


def test_secrets_that_shrink_do_not_draw_up_what_was_not_looked_at() -> None:
    secret, longest = some("shrink"), made("JWT")
    remember([secret])
    text = shown(secret * 98 + "y" * 60 + longest * 3)
    assert not leaks(secret, text)
    assert not leaks(longest, text)


def test_each_line_of_a_key_is_hidden_but_not_the_words_around_it() -> None:
    key = made("RSA key")
    for given_as in (key, key.replace("\n", "\\n")):
        known = KnownSecrets()
        known.remember((given_as,))
        for line in key.splitlines()[1:-1]:
            assert list(known.spans(f"{line[3:30]} and {line[:9]}"))
            assert not list(known.spans("-----BEGIN RSA PRIVATE KEY-----"))
        assert list(known.spans(base64.b64encode(key.encode()).decode()[40:60]))


def test_of_an_address_everything_but_the_host_is_hidden() -> None:
    user, token, query = some("user", 20), some("token", 24), some("query", 30)
    path = "/hooks/quietly-named/x"
    remember(
        [f"https://{user}:{quote(ODD, safe='')}@alerts.acme.net/services/{token}?k={query}, https://other.net{path}"]
    )
    for secret in (user, ODD, token, query):
        assert not leaks(secret, shown(f"cannot send to {secret}"))
    assert shown(f"POST {path} failed") == f"POST {REDACTED} failed"
    assert shown("no webhooks and services at alerts.acme.net") == "no webhooks and services at alerts.acme.net"


def test_what_is_shorter_than_eight_characters_hides_nothing() -> None:
    remember(["deploy", "", " "])
    assert shown("Successfully deployed") == "Successfully deployed"


def test_every_secret_setting_is_hidden_from_when_it_is_read() -> None:
    names = [field.metadata["name"] for field in Settings.__dataclass_fields__.values() if field.metadata["secret"]]
    assert {"GITHUB_TOKEN", "GITHUB_APP_KEY", "GITHUB_WEBHOOK_SECRET", "MANUAL_SYNC_API_KEY"} <= set(names)
    assert {"SIGNING_KEY", "PULLER_KEY", "NEO4J_PASSWORD", "NUDGE_URLS", "ALERT_URLS"} <= set(names)
    values = {name: some(name) for name in names}
    addresses = {name: f"https://pullers.net/{values[name]}" for name in names if name.endswith("_URLS")}
    key = {"GITHUB_APP_KEY": f"-----BEGIN KEY-----\n{values['GITHUB_APP_KEY']}\n-----END KEY-----"}
    load_settings({**values, **addresses, **key})
    for value in values.values():
        assert not leaks(value, shown(f"x {value} y"))


def test_a_setting_that_sounds_secret_is_marked_so() -> None:
    for field in Settings.__dataclass_fields__.values():
        name = field.metadata["name"]
        if re.search("SECRET|PASSWORD|TOKEN|KEY$", name):
            assert field.metadata["secret"], name


def test_a_secret_that_is_wrong_is_hidden_too() -> None:
    one = some("wrong", 20)
    with pytest.raises(ConfigError):
        load_settings({"GITHUB_WEBHOOK_SECRET": one})  # too short
    assert not leaks(one, shown(one))


def test_a_rotated_secret_stays_hidden_and_the_oldest_of_very_many_go_first() -> None:
    known = KnownSecrets()
    current = some("current")
    for number in range(MAX_SECRETS + 5):
        known.remember((some(number), current))
    assert [bool(list(known.spans(some(number)))) for number in (0, 5, 6, 7, MAX_SECRETS + 4)] == [
        *(False, False),
        *(True, True, True),
    ]
    assert list(known.spans(current))


# By pattern


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("frame", ["{}", "a {} b", '{{"x": "{}"}}', "?x={}&y=1"])
def test_a_secret_of_each_provider_is_hidden(kind: str, frame: str) -> None:
    # What two of a kind have in common is no secret.
    one, other = (re.sub(PUBLIC.get(kind, r"\A\Z"), "", made(kind, seed)) for seed in (1, 2))
    text = shown(frame.format(made(kind)))
    assert not (runs(one) - runs(other)) & runs(text)
    assert REDACTED in text


S = some("pattern", 24)
TOKEN = made("GitHub App")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Authorization: Bearer {S}", "Authorization: Bearer [redacted]"),
        (f"authorization: basic {S}=", "authorization: basic [redacted]"),
        (f"{{'Authorization': 'Basic {S}'}}", "{'Authorization': 'Basic [redacted]'}"),
        (f"https://x-access-token:{S}@github.com/o/r", "https://[redacted]@github.com/o/r"),
        (f"https://{S}@github.com/o/r", "https://[redacted]@github.com/o/r"),
        ("postgres://u:p@localhost/db", "postgres://[redacted]@localhost/db"),
        (f"https://h/o?ref=main&token={S}&x=1", "https://h/o?ref=main&token=[redacted]&x=1"),
        (f"https://h/o?X-Goog-Date=1&X-Goog-Signature={S}", "https://h/o?X-Goog-Date=1&X-Goog-Signature=[redacted]"),
        (f"https://h/o?sv=2&sig={S}%3D", "https://h/o?sv=2&sig=[redacted]"),
        (f"https://h/o?key=abc&access_token={S}", "https://h/o?key=[redacted]&access_token=[redacted]"),
        (f"x-api-key: {S}", "x-api-key: [redacted]"),
        (f'{{"client_secret": "{S}"}}', '{"client_secret": "[redacted]"}'),
        (f"a {TOKEN}, b", "a [redacted], b"),
        ("github_pat_thisMustNeverBeShown", "[redacted]"),
        (f"{TOKEN}{TOKEN}", "[redacted]"),
        (made("RSA key")[:300], "[redacted]"),
        ("eyJhbGciOiJSUzI1NiJ9", "[redacted]"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_nothing_else(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize("text", [each for each in PLACEHOLDERS if each.startswith(("ghp_x", "AKIA", "npm_", "eyJ"))])
def test_in_doubt_a_placeholder_is_hidden_too(text: str) -> None:
    assert shown(text) == REDACTED


@pytest.mark.parametrize(
    "text",
    [
        "Webhook received: push",
        "Processing 3 changed skill files",
        "Successfully deployed",
        "Deployed via polling fallback",
        "[SkillWatcher] Skill changed: golden-horde",
        "2-57",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "sha256:" + "0123456789abcdef" * 4,
        "refs/heads/release/1",
        "skills/secret-santa/SKILL.md",
        "GITHUB_WEBHOOK_SECRET: expected values of at least 32 characters without blanks inside",
        "not set: SIGNING_KEY, PULLER_KEY_HASHES (or the same with _FILE)",
        "the token expired at 2026-01-01T00:00:00.000Z",
        "gs://bucket/prefix",
        "https://api.github.com/repos/o/r/commits?page=2&per_page=100",
        "GATEWAY_PROBE answered 503 at http://127.0.0.1:18789/health?check=skills",
        "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    ],
)
def test_what_operators_search_for_and_what_is_no_secret_stays(text: str) -> None:
    assert shown(text) == text


HOSTILE = {
    "begins": "-----BEGIN PRIVATE KEY-----" * 400,
    "half begins": "-----BEGIN " * 900,
    "schemes": "://" * 3000,
    "users": "://a:" * 2000,
    "queries": "?a" * 5000,
    "names": "&token=" * 1400,
    "bearers": "Bearer " * 1400,
    "dots": "eyJaaaaaaaa." * 800,
    "prefixes": "ghp_" * 2500,
    "assignments": "secret=" * 1400,
    "one word": "a" * 10_000,
    "slashes": "/" * 10_000,
    "breaks": "ghp_\n" * 2000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_makes_it_slow(text: str) -> None:
    remember([some("slow"), made("RSA key")])
    shown(text)
    started = time.process_time()
    for _ in range(10):
        shown(text * 100)
    assert time.process_time() - started < 1.0


AROUND = st.text(max_size=300)


@given(before=AROUND, behind=AROUND, seed=st.integers(0, 50), data=st.data())
def test_whatever_stands_around_no_run_of_a_secret_leaks(
    before: str, behind: str, seed: int, data: st.DataObject
) -> None:
    secret = some(seed, data.draw(st.integers(RUN, 80)))
    remember([secret])
    face = data.draw(st.sampled_from(sorted(faces(secret))))
    text = shown(before + faces(secret)[face] + behind)
    assert not leaks(secret, text)
    assert len(text) <= log.MAX_FIELD_CHARS
