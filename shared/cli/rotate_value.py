"""The new value of a credential, as a person has it in a file: read by the rules of settings, told by its fingerprint only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shared.adapters.signer import Ed25519Signer
from shared.config import raw_setting
from shared.core.credentials import FINGERPRINT_CHARS, weakness
from shared.core.plain_text import fingerprint
from shared.errors import InputError
from shared.log.redaction import remember

if TYPE_CHECKING:
    from pathlib import Path

WITHOUT_VALUE = ("GITHUB_APP_KEY", "OPERATOR_KEY")
"""What no file of one line holds; --fingerprint names the new one."""
_FINGERPRINT = re.compile(rf"[0-9a-f]{{{FINGERPRINT_CHARS}}}")


def read_value(path: Path) -> str:
    """Read a value; from then on it is hidden in all that is printed.

    Args:
        path: A file that holds it alone; blanks and line ends around it do not count.

    Raises:
        InputError: `VALUE_FILE_INVALID`, `VALUE_MISSING`, `VALUE_TWO_LINES`, or as `weakness` says; never with the value.
    """
    try:
        # The very reader of settings: what it accepts from a file, the functions accept as well.
        value = raw_setting({"VALUE_FILE": str(path)}, "VALUE")
    except OSError as error:
        raise InputError("VALUE_FILE_INVALID", f"--value-file: {error.strerror}") from None
    except ValueError as error:
        raise InputError("VALUE_FILE_INVALID", f"--value-file: expected {error}") from None
    if value is None:
        raise InputError("VALUE_MISSING", "--value-file: the file is empty")
    remember([value, *value.splitlines()])
    if len(value.splitlines()) > 1:
        raise InputError("VALUE_TWO_LINES", "--value-file: expected the new value alone, got more than one line")
    weak = weakness(value)
    if weak is not None:
        raise InputError(weak.code, f"--value-file: {weak.text}; {weak.fix}")
    return value


def fingerprint_of(name: str, value: str) -> str:
    """Return the fingerprint of a credential's value; of SIGNING_KEY that of the key that the trust names.

    Raises:
        ConfigError: `SIGNING_KEY_INVALID`.
    """
    if name == "SIGNING_KEY":
        return Ed25519Signer(value).key_id[:FINGERPRINT_CHARS]
    return fingerprint(value)


def check_fingerprint(text: str) -> str:
    """Return a fingerprint as it is sent.

    Raises:
        InputError: `FINGERPRINT_INVALID`.
    """
    if not _FINGERPRINT.fullmatch(text.lower()):
        raise InputError("FINGERPRINT_INVALID", f"--fingerprint: expected {FINGERPRINT_CHARS} hex digits")
    return text.lower()
