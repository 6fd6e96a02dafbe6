"""An operator's desk: a folder with key and chain, passphrases in files, and a store to upload to."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from shared.adapters.sqlite_store import SqliteStore
from shared.cli.__main__ import main
from shared.cli.trust_home import open_home
from tests.fakes.trusted import a_signer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from shared.model import Trust

PASSPHRASE = "correct horse battery"
NEW_PASSPHRASE = "another horse battery"
FIRST, SECOND = a_signer(1), a_signer(2)
_UNSIGNED = {"trust push", "trust pull", "trust show"}


def base64_of(key: bytes) -> str:
    return base64.b64encode(key).decode()


class Desk:
    """Runs the operator's commands as a person would type them."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "operator"
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text(PASSPHRASE + "\n")
        self.new_passphrase = folder / "new-passphrase"
        self.new_passphrase.write_text(NEW_PASSPHRASE + "\n")
        self.uri = f"sqlite://{folder / 'store.db'}"
        self.store = SqliteStore(folder / "store.db")

    @property
    def newest(self) -> Trust:
        return open_home(self.home).newest

    def run(self, *words: str, sure: bool = True) -> int:
        """Run a command with the passphrase of the first key, unless the words say otherwise."""
        command, *rest = words
        arguments = ["operator", *command.split(), "--home", str(self.home), *rest]
        if command in _UNSIGNED:
            return main([*arguments, *([] if command == "trust show" else ["--store", self.uri])])
        keys = [] if "--passphrase-file" in rest else ["--passphrase-file", str(self.passphrase)]
        new = ["--new-passphrase-file", str(self.new_passphrase)] if command == "key add" else []
        return main([*arguments, *keys, *new, *(["--yes"] if sure else [])])

    def by_new_key(self, *words: str) -> int:
        """Run a command with the passphrase of the second key."""
        return self.run(*words, "--passphrase-file", str(self.new_passphrase))

    def json(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
        """Run a command with --json; standard output must be one document."""
        capsys.readouterr()
        status = self.run(*words, "--json")
        return status, json.loads(capsys.readouterr().out)

    def init(self) -> None:
        assert self.run("init", "--repo", "octo/skills", "--signer", base64_of(FIRST.public_key)) == 0

    def files(self) -> list[str]:
        """The files in the folder, beside the chain."""
        return sorted(path.name for path in self.home.iterdir() if path.is_file())
