"""`keys new`: values of 256 bits, each with what belongs beside it, printed or kept in a file, and never both."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest

from shared.adapters.signer import Ed25519Signer
from shared.cli.__main__ import main
from shared.core.auth import authenticate_puller, key_digest
from shared.core.credentials import KINDS, weakness
from shared.core.plain_text import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ("GITHUB_WEBHOOK_SECRET", "MANUAL_SYNC_API_KEY", "PULLER_KEY", "NEO4J_PASSWORD")
ELSEWHERE = ("GITHUB_TOKEN", "GITHUB_APP_KEY", "OPERATOR_KEY")


def made(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["keys", "new", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", TEXTS)
def test_a_value_has_256_bits_and_is_told_with_its_fingerprint_and_where_it_belongs(
    capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    one, other = made(capsys, kind), made(capsys, kind)
    assert len(bytes.fromhex(one["value"])) == 32
    assert one["value"] != other["value"]
    assert weakness(one["value"]) is None
    assert (one["name"], one["fingerprint"]) == (kind, fingerprint(one["value"]))
    assert any(kind in step for step in one["belongs"])


def test_a_signing_key_comes_with_what_the_operator_names_in_the_trust(capsys: pytest.CaptureFixture[str]) -> None:
    told = made(capsys, "SIGNING_KEY")
    signer = Ed25519Signer(told["value"])
    assert base64.b64decode(told["public_key"]) == signer.public_key
    assert (told["key_id"], told["fingerprint"]) == (signer.key_id, signer.key_id[:8])


@pytest.mark.parametrize("words", [("PULLER_KEY", "--puller", "edge"), ("PULLER_KEY.edge",)])
def test_a_pullers_key_comes_with_its_line_of_hashes(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    told = made(capsys, *words)
    assert told["name"] == "PULLER_KEY.edge"
    assert authenticate_puller(f"Bearer {told['value']}", [told["PULLER_KEY_HASHES"]]) == "edge"
    assert told["fingerprint"] == key_digest(told["value"])[:8]


def test_for_people_the_line_to_paste_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "new", "PULLER_KEY", "--puller", "edge"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    name, _, value = first.partition("=")
    assert (name, len(value)) == ("PULLER_KEY", 64)
    assert f"PULLER_KEY_HASHES: edge:{key_digest(value)}" in rest


@pytest.mark.parametrize("kind", [*TEXTS, "SIGNING_KEY"])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_value_that_goes_into_a_file_is_not_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, form: list[str]
) -> None:
    file = tmp_path / "value"
    assert main(["keys", "new", kind, "--out", str(file), *form]) == 0
    out, err = capsys.readouterr()
    value = file.read_text().strip()
    assert value not in out + err
    assert len(value) >= 43
    assert str(file) in out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_is_never_overwritten(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("kept")
    assert main(["keys", "new", "NEO4J_PASSWORD", "--out", str(file)]) == 1
    assert "KEY_FILE_EXISTS" in capsys.readouterr().err
    assert file.read_text() == "kept"
    assert main(["keys", "new", "NEO4J_PASSWORD", "--out", str(tmp_path / "no" / "value")]) == 1
    assert "KEY_FILE_INVALID" in capsys.readouterr().err


REFUSED = [
    *((name, [], "KEY_MADE_ELSEWHERE") for name in ELSEWHERE),
    ("NEO4J_USER", [], "ROTATION_NAME_UNKNOWN"),
    ("PULLER_KEY.No Slug", [], "ROTATION_NAME_UNKNOWN"),
    ("PULLER_KEY", ["--puller", "a:b"], "ROTATION_NAME_UNKNOWN"),
    ("PULLER_KEY.edge", ["--puller", "other"], "PULLER_UNEXPECTED"),
    ("SIGNING_KEY", ["--puller", "edge"], "PULLER_UNEXPECTED"),
]


@pytest.mark.parametrize(("kind", "more", "code"), REFUSED)
def test_what_is_not_made_here_is_refused_with_a_clear_word(
    capsys: pytest.CaptureFixture[str], kind: str, more: list[str], code: str
) -> None:
    assert main(["keys", "new", kind, *more, "--json"]) == 1
    out, err = capsys.readouterr()
    assert (json.loads(out)["code"], f"[{code}]" in err) == (code, True)


def test_every_kind_of_credential_is_made_here_or_said_to_come_from_elsewhere() -> None:
    assert {*TEXTS, "SIGNING_KEY", *ELSEWHERE} == set(KINDS)
