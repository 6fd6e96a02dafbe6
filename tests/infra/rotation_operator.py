"""Somebody who rotates credentials by token-rotation.md: its commands as they stand, and by hand what it tells in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from shared.cli.keys import new_secret
from tests.infra.page_stack import section_of
from tests.infra.rotation_stack import FIRST_USER, PULLER, SECOND_USER
from tests.infra.runbook_page import RUNBOOKS, Command, commands

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from tests.infra.rotation_stack import RotationStack


PAGE = "token-rotation.md"
APP_ID = "4711"
TEXT = (RUNBOOKS / PAGE).read_text(encoding="utf-8")
PLAN: dict[str, list[str]] = {
    name: re.findall(r"\[([^\]]+)\]\(#", steps)
    for name, steps in re.findall(r"^\| `([A-Z0-9_]+)` \| (\[.+) \|$", section_of(PAGE, "Steps"), re.MULTILINE)
}
SHOWS: dict[str, tuple[str, ...]] = {
    "rotate begin": ("begun",),
    "rotate verify": ("verified",),
    "rotate finish": ("finished",),
    "rotate abort": ("aborted", "next:"),
    "rotate calendar": ("due",),
    "hooks/$HOOK/config": ('"content_type": "json"',),
    "hooks/$HOOK/pings": ("204",),
    "puller --check": ("The release function answers",),
    "operator trust push": ("uploaded versions",),
    "signer add": ("Signed version",),
    "key add": ("Signed version",),
    "keys new": ("fingerprint",),
    "Both: rotate status": ("newest", "old"),
    "Both of a puller: rotate status": ("newest", "old"),
    "Clean up: rotate status": ("ok",),
    "Revoke the old operator key: rotate status": ("ok",),
    "What is due: rotate status": ("No rotation is open.", "ok"),
}
"""What a command shows, by a part of its text, or by its section and that; all of it stands in the page's section too."""


def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Operator:
    """Somebody who follows the page, and does by hand what it tells in words."""

    def __init__(self, stack: RotationStack) -> None:
        self.stack = stack
        self.visited: set[str] = set()
        self._told = ""
        self.app_keys = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
        self.by_hand: dict[str, Callable[[], object]] = {
            "Make a token": self._make_token,
            "Make a key of the App": self._make_app_key,
            "Give it to the puller": self._paste,
            "A second user": lambda: self._cypher("A second user", SECOND_USER),
            "Drop the old user": lambda: (stack.a_round(), self._cypher("Drop the old user", FIRST_USER)),
            "Delete it at GitHub": self._delete_at_github,
            "Clean up": self._choose_version,
            "Back to the version before": self._choose_version,
        }

    def rotate(self, row: str, steps: list[str] | None = None) -> None:
        """Follow a row of the page."""
        name = f"{row}.{PULLER}" if row == "PULLER_KEY" else row
        secret = "PULLER_KEY_HASHES" if row == "PULLER_KEY" else row
        self.stack.values |= {"NAME": name, "SECRET_ID": secret, "VERSION": "", "OLD": "", "PUBLIC_KEY": ""}
        for section in steps or PLAN[row]:
            self.follow(section)

    def follow(self, section: str) -> None:
        """Run a section's commands, after what is done by hand there."""
        self.visited.add(section)
        self.by_hand.get(section, bool)()
        for command in commands(PAGE, section):
            self._run(command)
        if section.startswith("Begin"):
            self.stack.values["OLD"] = str(status(self.stack)["active"]["old"])
        if section == "Make":
            self.stack.values["PUBLIC_KEY"] = self._public()

    def _run(self, command: Command) -> None:
        # What must wait (for a call under the new value, for the quiet period) says so, and is asked for again.
        again = {"rotate verify": 1, "rotate finish": 75}
        patient = next((status for part, status in again.items() if part in command.text), None)
        done = self.stack.sh(command.text)
        while patient is not None and done.returncode == patient and self._may_come(done):
            self.stack.a_round()
            done = self.stack.sh(command.text)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{self.stack.values['NAME']}: {command}\n{printed}"
        self._check_shown(command, printed)
        if "keys new" in command.text:
            self._told = printed

    @staticmethod
    def _may_come(done: subprocess.CompletedProcess[str]) -> bool:
        told = done.stdout + done.stderr
        return any(
            code in told for code in ("NEW_VALUE_UNUSED", "POINTER_NOT_RENEWED", "PULLER_BEHIND", "ROTATION_QUIET")
        )

    @staticmethod
    def _check_shown(command: Command, printed: str) -> None:
        parts = [part for part in SHOWS if part.removeprefix(f"{command.section}: ") in command.text]
        section = section_of(PAGE, command.section)
        for text in (text for part in parts for text in SHOWS[part]):
            assert text in section, f"{command}: the page does not say that it shows {text!r}"
            assert text in printed, f"{command} does not show {text!r}\n{printed}"

    def _public(self) -> str:
        found = re.search(r"public_key: (\S+)", self._told)
        return found[1] if found else ""

    def _make_token(self) -> None:
        token = "github_pat_" + new_secret()
        self.stack.github.access.others.add(token)
        self.stack.github.access.expiration = f"{datetime.now(UTC) + timedelta(days=60):%Y-%m-%d %H:%M:%S} UTC"
        (self.stack.secrets / "new").write_text(token)  # as pasted: no line end

    def _make_app_key(self) -> None:
        self.stack.github.access.install_app(APP_ID, *map(public_pem, self.app_keys))
        (self.stack.secrets / "new").write_text(pem(self.app_keys[1]))

    def _delete_at_github(self) -> None:
        self.stack.a_round()
        if self.stack.values["NAME"] == "GITHUB_TOKEN":
            self.stack.github.token = (self.stack.secrets / "new").read_text().strip()
        else:
            self.stack.github.access.install_app(APP_ID, public_pem(self.app_keys[1]))
            self.stack.github.access.revoke()

    def _paste(self) -> None:
        self.stack.pasted = (self.stack.secrets / "new").read_text()

    def _cypher(self, section: str, user: str) -> None:
        whole = re.search(rf"^### {section}$(.*?)^#", TEXT, re.MULTILINE | re.DOTALL)
        query = re.search(r"```cypher\n(.+?)\n```", whole[1] if whole else "", re.DOTALL)
        assert query is not None
        password = {"password": (self.stack.secrets / "new").read_text().strip()} if "$password" in query[1] else {}
        self.stack.cypher(query[1], user=user, **password)

    def _choose_version(self) -> None:
        versions = sorted(int(each.name) for each in self.vault.iterdir() if each.name.isdigit())
        self.stack.values["VERSION"] = str(versions[-2])

    @property
    def vault(self) -> Path:
        return self.stack.folder / "vault" / self.stack.values["SECRET_ID"]

    def change_to_the_app(self) -> None:
        """Read the repository by a GitHub App from now on."""
        self.stack.github.access.install_app(APP_ID, public_pem(self.app_keys[0]))
        self.stack.put("GITHUB_APP_KEY", pem(self.app_keys[0]))
        self.stack.put("GITHUB_APP_ID", APP_ID)
        self.stack.a_round()


def status(stack: RotationStack) -> dict[str, Any]:
    """How all rotations stand, as the functions tell it."""
    key = (stack.secrets / "api-key").read_text().strip()
    answer = httpx.get(f"{stack.url}/api/rotation", headers={"x-api-key": key}, timeout=30)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document
