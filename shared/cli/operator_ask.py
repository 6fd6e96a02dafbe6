"""How the operator is asked: for passphrases, and whether to sign what was shown."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import ConfigError, InputError

if TYPE_CHECKING:
    import argparse

    from shared.cli.output import Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Asks, where no file and no `--yes` answers already.

    Args:
        output: Where it is asked.
        passphrase_file: Holds the passphrase of the key that signs; empty to ask for it.
        new_passphrase_file: Holds that of the key that is made; empty to ask for it, twice.
        is_sure: Sign without being asked.
    """

    output: Output
    passphrase_file: str = ""
    new_passphrase_file: str = ""
    is_sure: bool = False

    def passphrase(self, key: str) -> str:
        """Return the passphrase of a key that is there."""
        if self.passphrase_file:
            return _first_line(self.passphrase_file)
        return getpass.getpass(f"Passphrase of {key}: ")

    def new_passphrase(self) -> str:
        """Return a passphrase for a key that is made.

        Raises:
            InputError: `PASSPHRASE_DIFFERS`, it was not typed twice the same.
        """
        if self.new_passphrase_file:
            return _first_line(self.new_passphrase_file)
        made = getpass.getpass("A passphrase for the new operator key: ")
        if getpass.getpass("The same again: ") != made:
            raise InputError("PASSPHRASE_DIFFERS", "the passphrase was not typed twice the same; nothing was made")
        return made

    def consents(self) -> bool:
        """Whether to sign what was shown."""
        return self.is_sure or self.output.answer('Type "sign" to sign this: ') == "sign"


def ask_by(options: argparse.Namespace, output: Output) -> Ask:
    """Read from the arguments what is answered already; not every command has all of them."""
    return Ask(
        output=output,
        passphrase_file=getattr(options, "passphrase_file", ""),
        new_passphrase_file=getattr(options, "new_passphrase_file", ""),
        is_sure=getattr(options, "yes", False),
    )


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("PASSPHRASE_FILE_INVALID", f"{path} cannot be read ({type(error).__name__})") from None
