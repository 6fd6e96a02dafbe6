"""The operator's key is rotated: both keys sign the version that names both, either signs alone, and the old one goes aside."""

from __future__ import annotations

import json
import os
import shutil
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from shared.adapters.operator_key import open_operator_key
from shared.cli import operator_ask, operator_keys
from shared.cli.__main__ import main
from shared.cli.operator_keys import set_aside_revoked
from shared.cli.trust_home import open_home
from shared.core.names import trust_name
from shared.core.trust import next_trust
from tests.cli.operator_desk import FIRST, NEW_PASSPHRASE, PASSPHRASE, SECOND, Desk, base64_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    built = Desk(tmp_path)
    built.init()
    return built


@pytest.fixture
def both(desk: Desk) -> tuple[str, str]:
    """The ids of the old key and of the new one, on a desk that has both."""
    (old,) = desk.newest.operator_keys
    assert desk.run("key add") == 0
    return old, list(desk.newest.operator_keys)[-1]


def signers_of(desk: Desk, version: int) -> list[str]:
    envelope = json.loads((desk.home / trust_name(version)).read_bytes())
    return [signature["keyid"] for signature in envelope["signatures"]]


def test_a_second_key_is_kept_encrypted_and_both_keys_sign_the_version_that_names_both(
    desk: Desk, both: tuple[str, str]
) -> None:
    old, new = both
    path = desk.home / f"operator.{new[:8]}.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_operator_key(path, NEW_PASSPHRASE).key_id == new
    assert open_operator_key(desk.home / "operator.key", PASSPHRASE).key_id == old
    assert list(desk.newest.operator_keys) == [old, new]
    assert signers_of(desk, 2) == [old, new]


def test_everything_else_stays_when_a_key_is_added(desk: Desk) -> None:
    before = desk.newest
    desk.run("key add")
    after = desk.newest
    assert (after.epoch, after.signer_keys, after.ack, after.version) == (before.epoch, before.signer_keys, 0, 2)


def test_with_two_keys_the_newest_signs_unless_another_is_chosen(desk: Desk, both: tuple[str, str]) -> None:
    old, new = both
    assert desk.by_new_key("epoch bump", "--reason", "x") == 0
    assert desk.run("epoch bump", "--reason", "y", "--key-id", old[:8]) == 0
    assert desk.by_new_key("trust renew", "--key-id", new) == 0
    assert [signers_of(desk, version) for version in (3, 4, 5)] == [[new], [old], [new]]


@pytest.mark.parametrize("which", [0, 1])
def test_either_key_is_revoked_by_the_one_that_stays_and_laid_aside(
    desk: Desk, both: tuple[str, str], which: int
) -> None:
    gone, stays = both[which], both[1 - which]
    run = desk.by_new_key if which == 0 else desk.run
    assert run("key revoke", "--key-id", gone[:8]) == 0
    assert list(desk.newest.operator_keys) == [stays]
    assert signers_of(desk, 3) == [stays]
    left = f"operator.{stays[:8]}.key" if which == 0 else "operator.key"
    assert desk.files() == sorted([left, f"operator.{gone[:8]}.revoked"])
    passphrase = (PASSPHRASE, NEW_PASSPHRASE)[which]
    assert open_operator_key(desk.home / f"operator.{gone[:8]}.revoked", passphrase).key_id == gone
    assert run("trust renew") == 0
    assert signers_of(desk, 4) == [stays]


def test_keys_are_rotated_again_and_again(desk: Desk) -> None:
    (first,) = desk.newest.operator_keys
    ids = [first]
    for _ in range(2):
        run = desk.run if len(ids) == 1 else desk.by_new_key
        assert run("key add") == 0
        ids.append(list(desk.newest.operator_keys)[-1])
        assert desk.by_new_key("key revoke", "--key-id", ids[-2]) == 0
    assert list(desk.newest.operator_keys) == [ids[-1]]
    names = [f"operator.{name[:8]}.revoked" for name in ids[:-1]]
    assert desk.files() == sorted([*names, f"operator.{ids[-1][:8]}.key"])
    assert desk.run("init", "--repo", "octo/skills", "--signer", "A" * 43 + "=") == 1
    assert desk.newest.version == 5


def test_where_key_id_names_a_signer_another_option_chooses_who_signs(desk: Desk, both: tuple[str, str]) -> None:
    old, new = both
    assert desk.run("signer add", "--public-key", base64_of(SECOND.public_key), "--key-id", old) == 0
    assert desk.run("signer revoke", "--key-id", FIRST.key_id[:8], "--sign-with", old[:8]) == 0
    assert desk.by_new_key("signer add", "--public-key", base64_of(FIRST.public_key)) == 0
    assert [signers_of(desk, version) for version in (3, 4, 5)] == [[old], [old], [new]]


REFUSED = [
    (("key revoke", "--key-id", ""), "OPERATOR_KEY_UNKNOWN"),
    (("key revoke", "--key-id", "zz"), "OPERATOR_KEY_UNKNOWN"),
    (("epoch bump", "--reason", "x", "--key-id", "zz"), "OPERATOR_KEY_UNKNOWN"),
    (("key add",), "OPERATOR_KEY_REFUSED"),
    (("trust renew",), "OPERATOR_KEY_INVALID"),  # the passphrase is that of the old key, the newest signs
]


@pytest.mark.parametrize(("words", "code"), REFUSED)
def test_what_would_not_hold_is_refused_and_nothing_changes(
    desk: Desk, both: tuple[str, str], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: str
) -> None:
    files = desk.files()
    assert desk.run(*words) == 1
    assert code in capsys.readouterr().err
    assert (desk.newest.version, list(desk.newest.operator_keys), desk.files()) == (2, [*both], files)


def test_the_only_key_is_never_revoked(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (only,) = desk.newest.operator_keys
    assert desk.run("key revoke", "--key-id", only) == 1
    assert "OPERATOR_KEY_REFUSED" in capsys.readouterr().err
    assert desk.files() == ["operator.key"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [("not the passphrase", NEW_PASSPHRASE, "OPERATOR_KEY_INVALID"), (PASSPHRASE, "short", "PASSPHRASE_WEAK")],
)
def test_with_a_wrong_or_weak_passphrase_no_second_key_is_made(
    desk: Desk, capsys: pytest.CaptureFixture[str], old: str, new: str, code: str
) -> None:
    desk.passphrase.write_text(old)
    desk.new_passphrase.write_text(new)
    assert desk.run("key add") == 1
    assert code in capsys.readouterr().err
    assert (desk.newest.version, desk.files()) == (1, ["operator.key"])


def test_without_consent_no_second_key_is_made(desk: Desk) -> None:
    assert desk.run("key add", sure=False) == 1
    assert (desk.newest.version, desk.files()) == (1, ["operator.key"])


def test_a_new_passphrase_is_typed_twice_the_same(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = [PASSPHRASE, NEW_PASSPHRASE, "mistyped passphrase"]
    monkeypatch.setattr(operator_ask.getpass, "getpass", lambda _: typed.pop(0))
    command = ["operator", "key", "add", "--home", str(desk.home), "--yes"]
    assert main(command) == 1
    assert "PASSPHRASE_DIFFERS" in capsys.readouterr().err
    assert (desk.newest.version, desk.files()) == (1, ["operator.key"])
    typed += [PASSPHRASE, NEW_PASSPHRASE, NEW_PASSPHRASE]
    assert main(command) == 0
    assert desk.by_new_key("trust renew") == 0


class Killed(BaseException):
    """The machine stops here."""


def crashes(desk: Desk, run: Callable[[], int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[int]:
    """Run a command on the same folder, stopped one step later each time, until it gets through."""
    before = tmp_path / "before"
    shutil.copytree(desk.home, before)
    for allowed in range(100):
        shutil.rmtree(desk.home)
        shutil.copytree(before, desk.home)
        left = iter(range(allowed))

        def step(real: Callable[..., object], *given: object, left: Iterator[int] = left) -> object:
            if next(left, None) is None:
                raise Killed
            return real(*given)

        with monkeypatch.context() as patched, suppress(Killed):
            for name in ("fsync", "replace"):
                patched.setattr(os, name, partial(step, getattr(os, name)))
            assert run() == 0
            patched.undo()
            yield allowed
            return
        yield allowed


def test_adding_a_key_is_cut_off_at_every_step_and_then_done_again(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = 0
    for _ in crashes(desk, lambda: desk.run("key add"), monkeypatch, tmp_path):
        steps += 1
        if len(desk.newest.operator_keys) == 1:
            assert desk.run("trust renew") == 0
            assert desk.run("key add") == 0
        assert len(desk.newest.operator_keys) == 2
        assert desk.by_new_key("trust renew") == 0
        assert desk.run("trust renew", "--key-id", next(iter(desk.newest.operator_keys))) == 0
    assert steps > 4


def test_revoking_a_key_is_cut_off_at_every_step_and_then_done_again(
    desk: Desk, both: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = both
    steps = 0
    for _ in crashes(desk, lambda: desk.by_new_key("key revoke", "--key-id", old), monkeypatch, tmp_path):
        steps += 1
        if old in desk.newest.operator_keys:
            assert desk.by_new_key("key revoke", "--key-id", old) == 0
        assert desk.by_new_key("trust renew") == 0
        # The next command about keys lays aside what a crash left.
        assert desk.by_new_key("key add") == 0
        assert {f"operator.{old[:8]}.revoked", f"operator.{new[:8]}.key"} < set(desk.files())
        assert "operator.key" not in desk.files()
        assert set_aside_revoked(open_home(desk.home)) == []
    assert steps > 4


def test_a_key_that_another_desk_made_does_not_sign_here(desk: Desk, both: tuple[str, str]) -> None:
    old, new = both
    (desk.home / f"operator.{new[:8]}.key").unlink()
    assert desk.run("epoch bump", "--reason", "x") == 0
    assert signers_of(desk, 3) == [old]


def test_pullers_follow_every_step_of_a_rotation(desk: Desk, both: tuple[str, str]) -> None:
    first = open_home(desk.home).chain[0]
    assert desk.by_new_key("trust renew", "--key-id", both[1]) == 0
    assert desk.by_new_key("key revoke", "--key-id", both[0]) == 0
    assert desk.by_new_key("epoch bump", "--reason", "x") == 0
    believed = first
    for version in (2, 3, 4, 5):
        believed = next_trust(believed, (desk.home / trust_name(version)).read_bytes())
    assert list(believed.operator_keys) == [both[1]]


def test_a_rotation_told_with_json_is_one_document_each(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    status, added = desk.json(capsys, "key add")
    old, new = desk.newest.operator_keys
    assert (status, added["signed"], added["signed_by"]) == (0, 2, [old, new])
    assert f"operator_keys: + {new}" in added["changes"]
    assert operator_keys.MAX_KEYS == 2
    status, refused = desk.json(capsys, "key add")
    assert (status, refused["code"]) == (1, "OPERATOR_KEY_REFUSED")
