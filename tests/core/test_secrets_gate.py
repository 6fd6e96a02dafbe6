"""Secrets are found whatever stands around them, placeholders are let pass, and no text makes the search slow or loud."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.providers import PROVIDERS
from shared.core.secrets_gate import MAX_HITS, find_secrets
from tests.core.made_secrets import PLACEHOLDERS, SECRETS, made

PROSE = "# Deploying\n\nRun the script and read the log; the token comes from the environment.\n"


def found(text: str) -> list[tuple[int, str]]:
    return [(hit.line, hit.detail) for hit in find_secrets(text) if hit.code == "SECRET_FOUND"]


def test_there_are_as_many_kinds_and_placeholders_as_were_measured() -> None:
    assert len(SECRETS) >= 66
    assert len(PLACEHOLDERS) >= 31


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("seed", range(5))
def test_a_secret_is_found_on_its_line(kind: str, seed: int) -> None:
    text = f"{PROSE}\nexport VALUE={made(kind, seed)}\n{PROSE}"
    assert 5 in {line for line, _ in found(text)}, kind


@pytest.mark.parametrize("frame", ['"{}"', "'{}'", "`{}`", "({})", "<{}>", "Bearer {}", "{},", "{}.", "value: {}"])
@pytest.mark.parametrize("kind", ["GitHub classic", "AWS key id", "Anthropic", "JWT", "Telegram", "postgres URL"])
def test_a_secret_is_found_in_quotes_brackets_and_sentences(kind: str, frame: str) -> None:
    assert found(frame.format(made(kind)))


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_keeps_nothing_out(placeholder: str) -> None:
    assert found(f"{PROSE}{placeholder}\n") == []


@pytest.mark.parametrize(
    "comment", ["# gitleaks:allow", "# nosec", "# noqa: S105", "<!-- allow-secret -->", "// pragma: allowlist secret"]
)
def test_no_comment_switches_the_gate_off(comment: str) -> None:
    assert found(f"key = {made('GitHub classic')}  {comment}\n")


@pytest.mark.parametrize("unseen", ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\U000e0041"])
@pytest.mark.parametrize("kind", ["GitHub classic", "AWS key id", "OpenAI project", "RSA key", "postgres URL"])
def test_characters_that_nobody_sees_do_not_split_a_secret(kind: str, unseen: str) -> None:
    secret = made(kind)
    split = unseen.join(secret[at : at + 5] for at in range(0, len(secret), 5))
    assert 3 in {line for line, _ in found(f"\n{unseen}\n{split}\n")}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_hit_never_holds_what_was_matched(kind: str) -> None:
    secret = made(kind)
    for hit in find_secrets(secret):
        told = f"{hit!r}"
        assert not any(secret[at : at + 8] in told for at in range(max(1, len(secret) - 8)))


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: f"{provider.name} {provider.keywords[0]}")
def test_every_row_of_the_table_is_found_by_its_own_name(provider: object) -> None:
    name = provider.name  # type: ignore[attr-defined]
    assert any(name == kind for key in SECRETS for _, kind in found(made(key))) or name in UNMADE


UNMADE = {
    "AWS session token",
    "Sentry token",
    "PlanetScale password",
    "Pulumi token",
    "Figma token",
    "Postman key",
    "Square token",
} | {"Heroku token"}
"""Rows that are proved by their near relatives only."""


def test_a_value_that_looks_random_beside_a_name_that_sounds_secret_is_suspect() -> None:
    value = "".join(random.Random(4).sample("abcdefghijklmnopqrstuvwxyz0123456789", 30))
    (hit,) = find_secrets(f"\nmy_api_key: '{value}'\n")
    assert (hit.code, hit.line, hit.detail) == ("SECRET_SUSPECT", 2, "assignment")
    for harmless in (
        "api_key: settings.api_key_of_the_service",
        "token = get_token_from_environment()",
        "password: correct horse",
    ):
        assert find_secrets(harmless) == []


@pytest.mark.parametrize(
    "harmless",
    [
        "https://github.com/acme/repo/commit/" + "0f" * 20,
        "sha256:" + "ab12" * 16,
        "http://user@host/path",
        "http://[::1]:8080/a@b",
        "a:b@c",
        "https://x/y?z=:q@w",
        "skill-" + "a1" * 20,
        "SKILL.md " * 50,
        "data:image/png;base64," + "iVBORw0KGgo" * 40,
    ],
)
def test_what_only_looks_a_little_like_a_secret_is_let_pass(harmless: str) -> None:
    assert found(harmless) == []


def test_the_findings_of_one_file_are_bounded() -> None:
    text = "\n".join(made("GitHub classic", seed) for seed in range(MAX_HITS + 50))
    assert len(find_secrets(text)) == MAX_HITS


HOSTILE = [
    "a",
    "A",
    "0",
    ".",
    "-",
    "_",
    "eyJ",
    "eyJa.",
    "://",
    "http://a:",
    "http://a:a@",
    "AIza",
    "sk-",
    "key=",
    "secret: ",
    "token=a",
]
HOSTILE += [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN RSA PRIVATE KEY-----\\n",
    "xoxb-1-",
    "M" * 24 + ".",
    "\u200b",
    "İ",
    "twilio ",
    "token",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_makes_the_search_slow(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    started = time.perf_counter()
    find_secrets(text)
    assert time.perf_counter() - started < 3.0


@given(st.text(max_size=400))
def test_any_text_gives_hits_with_lines_that_exist(text: str) -> None:
    for hit in find_secrets(text):
        assert 1 <= hit.line <= text.count("\n") + 1
