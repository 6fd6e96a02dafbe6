from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from shared.config import (
    Settings,
    command_environment,
    current_settings,
    load_settings,
)
from shared.core.rules import ValidationPolicy, VersionPolicy
from shared.errors import ConfigError
from shared.setting_files import MAX_FILE_BYTES
from tests.tables import credentials_table, settings_table

NAMES = [field.metadata["name"] for field in fields(Settings)]
ONE, TWO, THREE = "a" * 32, "b" * 40, "c" * 32
WHERE = ("http://a:8080/nudge", "https://b/x?y=1", "http://[::1]:1/")
ALERTED = ("json://a/b", "slack://A/B/C/#x,#y", "mailto://u:p@h?to=a@b,c@d")
QUEUE = "projects/octo-skills/locations/us-central1/queues/deferred"
CALLER = "scheduler@octo-skills.iam.gserviceaccount.com"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nabc+/=\ndef\n-----END RSA PRIVATE KEY-----"
SECRET_LISTS = {"GITHUB_WEBHOOK_SECRET": "webhook_secrets", "MANUAL_SYNC_API_KEY": "api_keys"}


def refused(**environment: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_settings(environment)
    assert caught.value.code == "CONFIG_INVALID"
    return caught.value.message


def value(name: str, text: str) -> object:
    attribute = next(field.name for field in fields(Settings) if field.metadata["name"] == name)
    return getattr(load_settings({name: text}), attribute)


def test_without_anything_set_the_documented_defaults_hold() -> None:
    settings = load_settings({})
    assert (settings.repo, settings.ref) == ("Danservfinn/kurultai-skills", "HEAD")
    assert settings.github_api_url == "https://api.github.com"
    assert (settings.channel, settings.skills_root, settings.store_uri) == ("prod", "", None)
    assert (settings.polling_interval_seconds, settings.lock_ttl_seconds) == (300.0, 300.0)
    assert settings.pull_interval_seconds == 2.0
    assert settings.max_skill_file_bytes == 102_400
    assert (settings.validation_policy, settings.version_policy) == (ValidationPolicy.PER_SKILL, VersionPolicy.DERIVED)
    assert (settings.skills_dir, settings.backup_dir) == (Path("/data/skills"), Path("/data/backups/skills"))
    assert settings.skills_layout == ("tree", "flat")
    assert (settings.webhook_secrets, settings.api_keys, settings.puller_key_hashes) == ((), (), ())
    assert (settings.signing_keys, settings.neo4j_users, settings.neo4j_passwords) == ((), ("neo4j",), ())


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("POLLING_INTERVAL_MIN", "0.5", 30.0),
        ("GITHUB_OIDC_ISSUER", "https://github.example/_services/token/", "https://github.example/_services/token"),
        ("GITHUB_OIDC_ISSUER", "http://127.0.0.1:8081", "http://127.0.0.1:8081"),
        ("OIDC_WORKFLOW", ".github/workflows/skills.yml", ".github/workflows/skills.yml"),
        ("GITHUB_REPOSITORY_ID", "4711", "4711"),
        ("DEPLOYMENT_LOCK_TTL", "120", 120.0),
        ("DEFERRED_QUEUE", f" {QUEUE}\n", QUEUE),
        (
            "DEFERRED_QUEUE",
            "projects/example.com:p/locations/l/queues/Q-1",
            "projects/example.com:p/locations/l/queues/Q-1",
        ),
        ("DEFERRED_POLL_URL", "https://poll.example/api/poll\n", "https://poll.example/api/poll"),
        ("DEFERRED_POLL_URL", "http://127.0.0.1:8080/api/poll", "http://127.0.0.1:8080/api/poll"),
        ("DEFERRED_CALLER", CALLER, CALLER),
        ("DEFERRED_CALLER", "1-compute@developer.gserviceaccount.com", "1-compute@developer.gserviceaccount.com"),
        ("MAX_SKILL_SIZE_BYTES", "1", 1),
        ("VALIDATION_POLICY", "all_or_nothing", ValidationPolicy.ALL_OR_NOTHING),
        ("VERSION_POLICY", "strict", VersionPolicy.STRICT),
        ("SKILLS_LAYOUT", "flat", ("flat",)),
        ("SKILLS_LAYOUT", " flat , tree ", ("flat", "tree")),
        ("SKILLS_ROOT", "/skills/", "skills"),
        ("SKILLS_ROOT", "a/b", "a/b"),
        ("SKILLS_ROOT", "/", ""),
        ("SKILLS_DIR", "/somewhere else", Path("/somewhere else")),
        ("GITHUB_BRANCH", "main", "main"),
        ("PULLER_KEY_HASHES", "a:1\n\n b:2 \n", ("a:1", "b:2")),
        ("POLL_AUTH", "iam", "iam"),
        ("NUDGE_URLS", "https://edge.example/nudge", ("https://edge.example/nudge",)),
        ("NUDGE_URLS", " http://a:8080/nudge , https://b/x?y=1,\n\n http://[::1]:1/ \r\nhttps://b/x?y=1", WHERE),
        ("NUDGE_URLS", ",", ()),
        ("ALERT_URLS", "json://a/b", ("json://a/b",)),
        ("ALERT_URLS", " json://a/b,\n\n slack://A/B/C/#x,#y ; mailto://u:p@h?to=a@b,c@d\r\njson://a/b", ALERTED),
        ("ALERT_URLS", "https://hooks.slack.com/services/T/B/x", ("https://hooks.slack.com/services/T/B/x",)),
        ("ALERT_URLS", " , \n;", ()),
        ("SIGNING_KEY", " new== \r\n\n old== \n", ("new==", "old==")),
        ("NEO4J_USER", "b\na", ("b", "a")),
        ("NEO4J_PASSWORD", "short", ("short",)),
        ("NEO4J_PASSWORD", "same\nsame", ("same", "same")),
        ("GITHUB_APP_ID", " 12 ", "12"),
        ("GITHUB_TOKEN", "ghp_a", ("ghp_a",)),
        ("GITHUB_TOKEN", " ghp_new \r\n\n ghp_old\t\r\n", ("ghp_new", "ghp_old")),
        ("GITHUB_APP_KEY", PEM.replace("\n", "\\n"), (PEM,)),
        ("GITHUB_APP_KEY", PEM.replace("\n", "\\r\\n"), (PEM,)),
        ("GITHUB_APP_KEY", f"Bag Attributes\r\n {PEM} \r\n", (PEM,)),
        ("GITHUB_APP_KEY", PEM.replace("\n", " \r\n"), (PEM,)),
        ("GITHUB_APP_KEY", f"{PEM}\n\n{PEM.replace('abc', 'old')}", (PEM, PEM.replace("abc", "old"))),
        ("GITHUB_APP_KEY", f"{PEM}\\n{PEM.replace('abc', 'old')}\\n", (PEM, PEM.replace("abc", "old"))),
    ],
)
def test_a_setting_is_read_in_its_own_unit(name: str, text: str, expected: object) -> None:
    assert value(name, text) == expected


def test_a_branch_makes_the_ref_that_pointers_name() -> None:
    assert load_settings({"GITHUB_BRANCH": "release/1"}).ref == "refs/heads/release/1"


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_value_counts_as_not_set(name: str) -> None:
    assert load_settings({name: "", f"{name}_FILE": ""}) == load_settings({})
    assert load_settings({name: " \t\r\n"}) == load_settings({})


GOOD = {
    "DEFERRED_QUEUE": QUEUE,
    "STORE_URI": "sqlite:///x",
    "SIGNING_KEY": "c2VlZA==",
    "MAX_SKILL_SIZE_BYTES": "5",
    "VALIDATION_POLICY": "all_or_nothing",
    "POLLING_INTERVAL_MIN": "7",
    "GITHUB_REPO": "skills",
    "SKILLS_DIR": "/x",
    "POLL_AUTH": "iam",
    "GITHUB_WEBHOOK_SECRET": ONE,
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("frame", ["{}\r\n", "{}\n", "  {}  ", "\t{}\r"])
def test_blanks_and_line_ends_around_a_value_are_stripped(name: str, frame: str, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text(frame.format(GOOD[name]), encoding="utf-8", newline="")
    assert value(name, frame.format(GOOD[name])) == value(name, GOOD[name])
    assert load_settings({f"{name}_FILE": str(file)}) == load_settings({name: GOOD[name]})


# Files


def test_a_file_is_read_afresh_so_that_a_rotated_secret_needs_no_restart(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    environment = {"GITHUB_WEBHOOK_SECRET_FILE": str(file)}
    for secret in (ONE, TWO, f"{THREE}\n{TWO}"):
        file.write_text(f"{secret}\n", encoding="utf-8")
        assert load_settings(environment).webhook_secrets == tuple(secret.split())


def test_a_file_comes_before_the_variable_itself(tmp_path: Path) -> None:
    file = tmp_path / "channel"
    file.write_text("from-file", encoding="utf-8")
    assert load_settings({"CHANNEL": "from-variable", "CHANNEL_FILE": str(file)}).channel == "from-file"


def test_an_empty_file_counts_as_not_set(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"\n")
    assert load_settings({"CHANNEL_FILE": str(tmp_path / "empty")}).channel == "prod"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"\xff", "UTF-8"), (b"x" * (MAX_FILE_BYTES + 1), "at most 65536 bytes")],
)
def test_a_file_that_cannot_be_read_names_its_setting_and_why(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    message = refused(CHANNEL_FILE=str(tmp_path / "file"))
    assert message.startswith("CHANNEL: ")
    assert reason in message
    assert str(tmp_path) not in message


def test_a_folder_in_the_place_of_a_file_is_named_too(tmp_path: Path) -> None:
    assert refused(SIGNING_KEY_FILE=str(tmp_path)).startswith("SIGNING_KEY: ")


# Secrets


@pytest.mark.parametrize(("name", "attribute"), SECRET_LISTS.items())
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ONE, (ONE,)),
        (f"{ONE}\n{TWO}", (ONE, TWO)),
        (f"{TWO}\r\n{ONE}\r\n", (TWO, ONE)),
        (f"\n\n  {ONE}\t\n\n {TWO} \n", (ONE, TWO)),
    ],
)
def test_one_or_two_secrets_one_a_line_newest_first(
    name: str, attribute: str, text: str, expected: tuple[str, ...]
) -> None:
    assert getattr(load_settings({name: text}), attribute) == expected


TOKENS = "values without blanks inside"
KEYS = "one private key in PEM, or 2"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("GITHUB_TOKEN", "hunter-one\nhunter-two\nhunter-three", "at most 2 values"),
        ("GITHUB_TOKEN", "hunter one", TOKENS),
        ("GITHUB_TOKEN", "hunter-one\nhunter\ttwo", TOKENS),
        ("GITHUB_TOKEN", "hunter\u00a0one", TOKENS),
        ("GITHUB_APP_KEY", "hunter", KEYS),
        ("GITHUB_APP_KEY", "\n".join([PEM] * 3), KEYS),
        ("GITHUB_APP_KEY", PEM.partition("-----END")[0], KEYS),
        ("GITHUB_APP_KEY", PEM.partition("\n")[2], KEYS),
        ("GITHUB_APP_KEY", PEM.replace("\n", " "), KEYS),
        ("GITHUB_APP_KEY", PEM.replace("END RSA", "END EC"), KEYS),
        # The newest was cut: the older one may not be used as if it were alone.
        ("GITHUB_APP_KEY", f"{PEM.partition('-----END')[0]}\n{PEM}", KEYS),
        ("GITHUB_APP_KEY", f"{PEM.partition('-----')[2]}\n{PEM}", KEYS),
        ("GITHUB_APP_KEY", f"{PEM}\n{PEM.partition('-----END')[0]}", KEYS),
        ("GITHUB_APP_KEY", f"{PEM}{PEM.partition('-----END')[0]}", KEYS),
    ],
)
def test_tokens_and_keys_of_another_form_are_refused_with_a_clear_word_and_unquoted(
    name: str, text: str, reason: str
) -> None:
    message = refused(**{name: text})
    assert message.startswith(f"{name}: expected ")
    assert reason in message
    assert "hunter" not in message
    assert "abc" not in message


@pytest.mark.parametrize("name", SECRET_LISTS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{ONE}\n{TWO}\n{THREE}", "at most 2 values"),
        ("s" * 31, "at least 32 characters"),
        (f"{ONE}\n{'s' * 31}", "at least 32 characters"),
        (f"{'s' * 20} {'s' * 20}", "without blanks inside"),
        (f"{'s' * 20}\t{'s' * 20}", "without blanks inside"),
        (f"{'s' * 20}\u00a0{'s' * 20}", "without blanks inside"),
    ],
)
def test_secrets_that_are_too_many_too_short_or_broken_are_refused_with_a_clear_word(
    name: str, text: str, reason: str
) -> None:
    message = refused(**{name: text})
    assert message.startswith(f"{name}: ")
    assert reason in message


# Faults


INVALID = {
    "POLLING_INTERVAL_MIN": "s3cret-five",
    "DEPLOYMENT_LOCK_TTL": "-31337",
    "MAX_SKILL_SIZE_BYTES": "31337.5",
    "VALIDATION_POLICY": "s3cret-strict",
    "VERSION_POLICY": "s3cret-loose",
    "SKILLS_LAYOUT": "tree,s3cret",
    "SKILLS_ROOT": "s3cret/../up",
    "POLL_AUTH": "s3cret-none",
    "PULL_INTERVAL_SECONDS": "nan",
    "GITHUB_WEBHOOK_SECRET": "s3cret-short",
    "MANUAL_SYNC_API_KEY": "s3cret-short",
    "NUDGE_URLS": "https://user:s3cret@edge.example/nudge",
    "ALERT_URLS": "json://good/ s3cret",
    **dict.fromkeys(("SIGNING_KEY", "NEO4J_USER", "NEO4J_PASSWORD"), "s3cret-1\ns3cret-2\ns3cret-3"),
}


def test_everything_that_is_wrong_is_named_at_once_with_what_was_expected() -> None:
    message = refused(**INVALID, CHANNEL_FILE="/nonexistent/31337")
    assert [part.split(":")[0] for part in message.split("; ")] == [
        name for name in NAMES if name in {*INVALID, "CHANNEL"}
    ]
    assert all(part.partition(": ")[2] for part in message.split("; "))


@pytest.mark.parametrize("name", INVALID)
def test_a_refusal_never_repeats_the_value(name: str) -> None:
    message = refused(**{name: INVALID[name]})
    assert message.startswith(f"{name}: ")
    assert INVALID[name] not in message
    assert "s3cret" not in message
    assert "31337" not in message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[("MAX_SKILL_SIZE_BYTES", text) for text in ("0", "-1", "1e3", "1_000", "²", "\u0661", "9" * 5000, "abc")],
        *[("DEPLOYMENT_LOCK_TTL", text) for text in ("0", "-1", "inf", "nan", "x", "1,5", "9" * 5000)],
        *[("SKILLS_ROOT", text) for text in ("..", ".", "a/../b", "a//b", "a/./b")],
        *[("SKILLS_LAYOUT", text) for text in (",", "tree,", "Tree", "tree;flat")],
        *[("VALIDATION_POLICY", text) for text in ("PER_SKILL", "per-skill")],
        *[
            ("NUDGE_URLS", text)
            for text in ("edge", "ftp://a/", "file:///etc", "//a/nudge", "https://", "http:///nudge")
        ],
        *[("NUDGE_URLS", text) for text in ("https://a b/", "https://a/#x", "https://u@a/", "https://\u0430/")],
        *[("NUDGE_URLS", text) for text in ("http://a:0/", "http://a:x/", "http://a:65536/", "http://[::1/")],
        ("NUDGE_URLS", "https://good.example/nudge, bad"),
        *[
            ("ALERT_URLS", text)
            for text in ("ops@example.com", "json:/a", "json://", "://a", "json://a b", "json://a\x00b")
        ],
        ("ALERT_URLS", "\n".join(f"json://h{number}/" for number in range(21))),
        ("NUDGE_URLS", ",".join(f"http://h{number}/" for number in range(51))),
        *[("GITHUB_OIDC_ISSUER", text) for text in ("http://issuer.example", "http://127.0.0.1.example", "issuer")],
        *[("GITHUB_OIDC_ISSUER", text) for text in ("https://u@h/", "https://h/?x", "http://localhost:1@h/")],
        *[
            ("OIDC_WORKFLOW", text)
            for text in ("skills.yml", ".github/workflows/../x.yml", ".github/workflows/x.yml@main")
        ],
        *[("GITHUB_REPOSITORY_ID", text) for text in ("0", "octo/skills", "-1")],
        *[
            ("DEFERRED_QUEUE", text)
            for text in ("deferred", f"/{QUEUE}", f"{QUEUE}/tasks/1", f"{QUEUE}?x", "//queues/q")
        ],
        *[
            ("DEFERRED_QUEUE", text)
            for text in (f"{QUEUE}\r\nX: y", QUEUE.replace("deferred", "../q"), QUEUE + "q" * 99)
        ],
        *[
            ("DEFERRED_POLL_URL", text)
            for text in ("https://h/", "https://h/api/poll/", "https://h/api/poll?x", "/api/poll")
        ],
        *[
            ("DEFERRED_POLL_URL", text)
            for text in ("http://h/api/poll", "https://u:p@h/api/poll", "https://h/api/poll#x")
        ],
        *[
            ("DEFERRED_CALLER", text)
            for text in ("ada@example.com", "x", "a b@p.iam.gserviceaccount.com", f"{CALLER}.evil")
        ],
    ],
)
def test_a_value_that_means_nothing_is_refused(name: str, text: str) -> None:
    assert refused(**{name: text}).startswith(f"{name}: ")


def test_an_address_for_alerts_that_is_none_is_named_by_its_number() -> None:
    message = refused(ALERT_URLS="json://a/\nops@example.com s3cret\njson://b/\nslack://x y")
    assert message == "ALERT_URLS: expected addresses such as json://HOST/PATH, one a line (number 1, 3 is none)"
    assert "number 2 is none" in refused(ALERT_URLS="json://a/\njson://b c")


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings({"SIGNING_KEY": "x"}).need("STORE_URI", "SIGNING_KEY", "GITHUB_WEBHOOK_SECRET", "TRUST_ANCHOR")
    assert caught.value.code == "CONFIG_MISSING"
    assert "STORE_URI, GITHUB_WEBHOOK_SECRET, TRUST_ANCHOR" in caught.value.message
    assert "SIGNING_KEY" not in caught.value.message


def test_what_is_set_or_has_a_default_is_not_missing() -> None:
    load_settings({"STORE_URI": "sqlite:///x"}).need("STORE_URI", "CHANNEL", "SKILLS_DIR", "POLLING_INTERVAL_MIN")


def test_the_current_settings_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL", "canary")
    assert current_settings().channel == "canary"
    monkeypatch.setenv("CHANNEL", "prod")
    assert current_settings().channel == "prod"


# The table in README


def test_the_table_has_a_row_for_every_setting_with_its_default() -> None:
    rows = settings_table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == NAMES
    assert len(set(NAMES)) == len(NAMES)
    assert "| `CHANNEL` | `prod` | cloud |" in settings_table()


def test_readme_holds_the_tables_as_they_are_made_from_settings_and_credentials() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert settings_table() in readme
    assert credentials_table() in readme


def test_a_command_of_the_operators_gets_none_of_our_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "x")
        monkeypatch.setenv(f"{name}_FILE", "/x")
    monkeypatch.setenv("OPENCLAW_TOKEN_FILE", "/y")
    found = command_environment()
    assert found["OPENCLAW_TOKEN_FILE"] == "/y"
    assert "PATH" in found
    assert not {each.removesuffix("_FILE") for each in found} & set(NAMES)
