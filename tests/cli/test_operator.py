"""The operator's tool: what it signs, what it refuses, and that it never overwrites anything in the store."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unittest.mock import ANY

import httpx
import pytest

from shared.adapters.operator_key import open_operator_key
from shared.cli import operator_ask
from shared.cli.__main__ import main
from shared.cli.exits import Exit
from shared.cli.trust_home import open_home
from shared.core.names import CURRENT, trust_name
from shared.core.pointer import next_pointer, sign_pointer
from shared.core.trust import first_trust
from shared.errors import ConfigError
from tests.cli.operator_desk import FIRST, PASSPHRASE, SECOND, Desk, base64_of
from tests.core.samples import a_move
from tests.fakes.trusted import a_signer

if TYPE_CHECKING:
    from pathlib import Path

    from shared.adapters.signer import Ed25519Signer


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    built = Desk(tmp_path)
    built.init()
    return built


def test_init_makes_an_encrypted_key_and_prints_what_both_sides_pin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk(tmp_path)
    desk.init()
    printed = capsys.readouterr().out
    anchor = first_trust(printed.partition("TRUST_ANCHOR=")[2].strip().encode())
    assert anchor == open_home(desk.home).newest
    assert (anchor.repo, anchor.ref, anchor.channel, anchor.epoch) == ("octo/skills", "HEAD", "prod", 1)
    assert anchor.signer_keys == {FIRST.key_id: FIRST.public_key}
    key = desk.home / "operator.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.home.stat().st_mode) == 0o700
    assert b"ENCRYPTED" in key.read_bytes()
    assert PASSPHRASE not in printed


def test_init_never_overwrites_a_key(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    before = (desk.home / "operator.key").read_bytes()
    assert desk.run("init", "--repo", "octo/other", "--signer", base64_of(FIRST.public_key)) == 1
    assert "OPERATOR_KEY_EXISTS" in capsys.readouterr().err
    assert (desk.home / "operator.key").read_bytes() == before
    assert open_home(desk.home).newest.repo == "octo/skills"


def test_a_weak_passphrase_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk(tmp_path)
    desk.passphrase.write_text("short\n")
    assert desk.run("init", "--repo", "octo/skills", "--signer", base64_of(FIRST.public_key)) == 1
    assert "PASSPHRASE_WEAK" in capsys.readouterr().err
    assert not (desk.home / "operator.key").exists()


def test_the_key_opens_with_its_passphrase_only(desk: Desk) -> None:
    key = open_operator_key(desk.home / "operator.key", PASSPHRASE)
    assert key.key_id in open_home(desk.home).newest.operator_keys
    for path, passphrase in ((desk.home / "operator.key", "another one"), (desk.passphrase, PASSPHRASE)):
        with pytest.raises(ConfigError, match="OPERATOR_KEY_INVALID"):
            open_operator_key(path, passphrase)
    with pytest.raises(ConfigError, match="OPERATOR_KEY_MISSING"):
        open_operator_key(desk.home / "nothing", PASSPHRASE)


def test_a_bump_shows_the_difference_and_opens_the_next_epoch(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert desk.run("epoch bump", "--reason", "bucket restored") == 0
    shown = capsys.readouterr().out
    assert "epoch: 1 -> 2" in shown
    assert "'the first version' -> 'bucket restored'" in shown
    newest = open_home(desk.home).newest
    assert (newest.version, newest.epoch, newest.ack, newest.reason) == (2, 2, 0, "bucket restored")


def test_nothing_is_signed_without_consent(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    # Standard input is no terminal here: nobody can be asked.
    assert desk.run("epoch bump", "--reason", "x", sure=False) == 1
    assert "Nothing was signed." in capsys.readouterr().out
    assert open_home(desk.home).newest.version == 1


def test_a_violation_is_acknowledged_with_the_bump_or_after_it(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run("pause ack", "--incident", "INC-1") == 1
    assert "NOTHING_TO_ACK" in capsys.readouterr().err
    desk.run("epoch bump", "--reason", "a restore", "--incident", "INC-1")
    newest = open_home(desk.home).newest
    assert (newest.epoch, newest.ack, newest.incident) == (2, 1, "INC-1")
    desk.run("epoch bump", "--reason", "another")
    assert desk.run("pause ack", "--incident", "INC-2") == 0
    newest = open_home(desk.home).newest
    assert (newest.epoch, newest.ack, newest.incident) == (3, 2, "INC-2")


def test_a_signer_is_added_and_the_old_one_revoked(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run("signer add", "--public-key", base64_of(SECOND.public_key)) == 0
    assert f"signer_keys: + {SECOND.key_id}" in capsys.readouterr().out
    assert desk.run("signer revoke", "--key-id", FIRST.key_id[:8]) == 0
    assert f"signer_keys: - {FIRST.key_id}" in capsys.readouterr().out
    newest = open_home(desk.home).newest
    assert (set(newest.signer_keys), set(newest.past_signers)) == ({SECOND.key_id}, {FIRST.key_id})


REFUSED = [
    (("signer add", "--public-key", "rubbish"), "PUBLIC_KEY_INVALID"),
    (("signer add", "--public-key", base64_of(FIRST.public_key)), "SIGNER_REFUSED"),
    (("signer revoke", "--key-id", FIRST.key_id), "SIGNER_REFUSED"),
    (("signer revoke", "--key-id", "0000"), "SIGNER_REFUSED"),
    (("epoch bump", "--reason", "two\nlines"), "trust_invalid"),
]


@pytest.mark.parametrize(("words", "code"), REFUSED)
def test_what_would_not_hold_is_refused_before_anything_is_kept(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: str
) -> None:
    assert desk.run(*words) == 1
    assert code in capsys.readouterr().err
    assert open_home(desk.home).newest.version == 1


def test_a_third_signer_is_refused(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.run("signer add", "--public-key", base64_of(SECOND.public_key))
    assert desk.run("signer add", "--public-key", base64_of(a_signer(3).public_key)) == 1
    assert "SIGNER_REFUSED" in capsys.readouterr().err


def test_another_operators_key_cannot_sign_in_this_chain(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Desk(tmp_path / "other") if (tmp_path / "other").mkdir() is None else desk
    other.init()
    os.replace(other.home / "operator.key", desk.home / "operator.key")  # noqa: PTH105 - as a hurried person does
    assert desk.run("epoch bump", "--reason", "x") == 1
    assert "OPERATOR_KEY_INVALID" in capsys.readouterr().err


def test_a_push_uploads_what_is_missing_and_only_that(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.run("epoch bump", "--reason", "x")
    assert desk.run("trust push") == 0
    assert "uploaded versions [1, 2]" in capsys.readouterr().out
    generation = desk.store.get(trust_name(1)).generation  # type: ignore[union-attr]
    assert desk.run("trust push") == 0
    assert "has every version already" in capsys.readouterr().out
    assert desk.store.get(trust_name(1)).generation == generation  # type: ignore[union-attr]
    assert desk.store.get(trust_name(2)).data == (desk.home / trust_name(2)).read_bytes()  # type: ignore[union-attr]


def test_a_push_never_overwrites_another_chain(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.store.put(trust_name(1), b"another", if_generation=0)
    assert desk.run("trust push") == 1
    assert "TRUST_FORKED" in capsys.readouterr().err
    assert desk.store.get(trust_name(1)).data == b"another"  # type: ignore[union-attr]


def test_what_another_desk_signed_is_pulled_before_anything_is_pushed(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.run("epoch bump", "--reason", "x")
    desk.run("trust push")
    (desk.home / trust_name(2)).unlink()  # the other desk's copy of the folder is older
    assert desk.run("trust push") == 1
    assert "TRUST_AHEAD" in capsys.readouterr().err
    assert desk.run("trust pull") == 0
    assert "version 2, epoch 2" in capsys.readouterr().out
    assert desk.run("trust push") == 0


def test_the_chain_is_shown_with_its_reasons(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.run("epoch bump", "--reason", "a restore")
    capsys.readouterr()
    assert desk.run("trust show") == 0
    shown = capsys.readouterr().out
    assert "version 1, epoch 1" in shown
    assert ": a restore" in shown
    assert "TRUST_ANCHOR={" in shown


def test_a_folder_without_a_chain_and_one_that_was_altered_are_named(
    desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["operator", "trust", "show", "--home", str(tmp_path / "nowhere")]) == 1
    assert "TRUST_HOME_MISSING" in capsys.readouterr().err
    desk.run("epoch bump", "--reason", "x")
    (desk.home / trust_name(2)).write_bytes(b"rubbish")
    assert desk.run("trust show") == 1
    assert "TRUST_HOME_INVALID" in capsys.readouterr().err


def asks_status(answer: httpx.Response | Exception, *words: str) -> tuple[int, list[httpx.Request]]:
    """Ask for the status; the functions answer so."""
    asked: list[httpx.Request] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return main(["operator", "dr", "status", *words], transport=httpx.MockTransport(serve)), asked


def test_the_status_is_asked_of_the_functions(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILL_SYNC_URL", "https://functions.example/")
    monkeypatch.setenv("MANUAL_SYNC_API_KEY", f"{'k' * 40}\n{'o' * 40}")
    told = {"match_status": "match", "next_action": "none"}
    status, asked = asks_status(httpx.Response(200, json=told))
    assert status == Exit.DONE
    assert [(str(each.url), each.headers["x-api-key"]) for each in asked] == [
        ("https://functions.example/api/dr-state", "k" * 40)
    ]
    assert capsys.readouterr().out.endswith("next: none\n")
    assert asks_status(httpx.Response(200, json=told), "--json")[0] == Exit.DONE
    assert json.loads(capsys.readouterr().out) == told


@pytest.mark.parametrize(
    ("url", "answer", "code", "ends"),
    [
        ("", httpx.Response(200), "CONFIG_MISSING", Exit.CONFIG),
        (
            "https://f.example",
            httpx.Response(401, json={"error": "x", "code": "API_KEY_INVALID"}),
            "API_KEY_INVALID",
            77,
        ),
        ("https://f.example", httpx.ReadTimeout("slow"), "UNREACHABLE", Exit.UNAVAILABLE),
    ],
)
def test_a_status_that_cannot_be_had_is_told(
    url: str,
    answer: httpx.Response | Exception,
    code: str,
    ends: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SKILL_SYNC_URL", url)
    monkeypatch.setenv("MANUAL_SYNC_API_KEY", "k" * 40)
    assert asks_status(answer, "--json")[0] == ends
    out, err = capsys.readouterr()
    assert json.loads(out)["code"] == code
    assert f"[{code}]" in err


def test_the_passphrase_is_asked_for_where_no_file_names_it(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> None:
    monkeypatch.setattr(operator_ask.getpass, "getpass", lambda _: PASSPHRASE)
    assert main(["operator", "epoch", "bump", "--reason", "x", "--home", str(desk.home), "--yes"]) == 0
    assert open_home(desk.home).newest.epoch == 2


def test_the_first_passphrase_is_asked_for_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = [PASSPHRASE, "mistyped passphrase"]
    monkeypatch.setattr(operator_ask.getpass, "getpass", lambda _: typed.pop(0))
    signer = base64_of(FIRST.public_key)
    command = ["operator", "init", "--repo", "octo/skills", "--signer", signer, "--home", str(tmp_path / "operator")]
    assert main(command) == 1
    assert "PASSPHRASE_DIFFERS" in capsys.readouterr().err
    assert not (tmp_path / "operator").exists()


def live_by(desk: Desk, signer: Ed25519Signer) -> None:
    """Let a pointer by that signer be live."""
    trust = open_home(desk.home).newest
    pointer = next_pointer(None, a_move(), trust=trust, now=datetime.now(UTC), poll_seconds=300.0)
    stored = desk.store.get(CURRENT)
    desk.store.put(CURRENT, sign_pointer(pointer, signer), if_generation=0 if stored is None else stored.generation)


def test_a_push_does_not_revoke_the_signer_of_the_live_pointer(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    live_by(desk, FIRST)
    desk.run("signer add", "--public-key", base64_of(SECOND.public_key))
    assert desk.run("trust push") == 0
    desk.run("signer revoke", "--key-id", FIRST.key_id)
    assert desk.run("trust push") == 1
    assert "SIGNER_STILL_LIVE" in capsys.readouterr().err
    assert desk.store.get(trust_name(3)) is None
    live_by(desk, SECOND)
    assert desk.run("trust push") == 0
    assert desk.store.get(trust_name(3)) is not None


def test_a_leaked_key_is_revoked_by_force(desk: Desk) -> None:
    live_by(desk, FIRST)
    desk.run("signer add", "--public-key", base64_of(SECOND.public_key))
    desk.run("signer revoke", "--key-id", FIRST.key_id)
    assert desk.run("trust push") == 1
    assert desk.run("trust push", "--force") == 0
    assert desk.store.get(trust_name(3)) is not None


JSON = [
    ("epoch bump", "--reason", "x"),
    ("signer add", "--public-key", base64_of(SECOND.public_key)),
    ("trust renew",),
]


@pytest.mark.parametrize("words", JSON)
def test_what_was_signed_is_one_document_with_json(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    status, document = desk.json(capsys, *words)
    assert (status, document["signed"]) == (0, 2)
    assert document["signed_by"] == list(desk.newest.operator_keys)
    assert document["changes"][0] == "version: 1 -> 2"


def test_the_other_commands_end_with_one_document_too(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.json(capsys, "trust push") == (0, {"uploaded": [1]})
    assert desk.json(capsys, "trust pull") == (0, {"version": 1, "epoch": 1})
    _, shown = desk.json(capsys, "trust show")
    assert [each["version"] for each in shown["versions"]] == [1]
    assert first_trust(shown["anchor"].encode()) == desk.newest
    assert desk.json(capsys, "signer revoke", "--key-id", "0000") == (1, {"error": ANY, "code": "SIGNER_REFUSED"})
    capsys.readouterr()
    assert desk.run("epoch bump", "--reason", "x", "--json", sure=False) == 1
    assert json.loads(capsys.readouterr().out)["signed"] is None


def test_a_renewal_changes_nothing_but_dates_and_reason(desk: Desk) -> None:
    before = desk.newest
    assert desk.run("trust renew") == 0
    after = desk.newest
    same = replace(before, version=2, reason="renewed", issued_at=after.issued_at, expires_at=after.expires_at)
    assert after == same
    assert after.expires_at > before.expires_at


def test_a_passphrase_file_that_is_not_there_is_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run("trust renew", "--passphrase-file", str(desk.home / "nothing")) == 1
    assert "PASSPHRASE_FILE_INVALID" in capsys.readouterr().err
