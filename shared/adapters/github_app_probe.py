"""The `Probe` port for GITHUB_APP_KEY: the newest key alone and what its token reads; a made-up key; and the other one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.adapters.github_access import AppAccess
from shared.adapters.github_app import App
from shared.adapters.github_faults import OK, UNAUTHORIZED
from shared.adapters.github_reach import REFUSALS, reads, sees_repository, untried
from shared.core.credentials import Check, Mark
from shared.errors import SkillSyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.adapters.github_reach import TriedAlone

_KEY_BITS = 2048
_EXPONENT = 65537


class AppProbe:
    """Tries the App's key.

    Args:
        alone: What is needed to ask with one proof.
        branch: The branch that is followed; None is the repository's default branch.
        app: The App with its keys, newest first.
    """

    def __init__(self, alone: TriedAlone, branch: str | None, app: App) -> None:
        self._alone = alone
        self._branch = branch
        self._app = app

    def __call__(self, seconds: float) -> list[Check]:
        """Try it; as the port promises.

        Args:
            seconds: How long all of it may take.
        """
        blocked = self._alone.stay_away()
        if blocked is not None:
            return [blocked]
        left = self._alone.until(seconds)
        newest, *older = self._app.key_pems
        accepted = self._accepted(newest, left)
        return [
            accepted,
            *(self._read(newest, left) if accepted.mark is Mark.OK else ()),
            self._made_up(left),
            *(self._older(key, left) for key in older),
        ]

    def _read(self, key: str, left: Callable[[], float]) -> list[Check]:
        """Try what a token reads that was given for this key alone."""
        app = App(id=self._app.id, key_pems=(key,))
        api = self._alone.api(AppAccess(app, self._alone.repository, self._alone.clock), left)
        seen, headers = sees_repository(api)
        return [seen, *(() if headers is None else reads(api, self._branch, self._alone.together))]

    def _accepted(self, key: str, left: Callable[[], float]) -> Check:
        name = "key-is-accepted"
        try:
            status = self._status(key, left)
        except SkillSyncError as error:
            return untried(name, error)
        if status == OK:
            return Check(name=name, mark=Mark.OK, text="the App's newest key is accepted")
        if status == UNAUTHORIZED:
            text = "GitHub refuses what the App's newest key has signed (401)"
            fix = "see that GITHUB_APP_ID names the App whose settings show this key, and that the clock is right"
            return Check(name=name, mark=Mark.FAIL, code="APP_KEY_REFUSED", text=text, fix=fix)
        text = f"the key is accepted, and the App is not installed on this repository ({status})"
        fix = "install the App on the repository, with Contents: read and Webhooks: read"
        return Check(name=name, mark=Mark.FAIL, code="APP_NOT_INSTALLED", text=text, fix=fix)

    def _made_up(self, left: Callable[[], float]) -> Check:
        name = "made-up-key-is-refused"
        made = rsa.generate_private_key(public_exponent=_EXPONENT, key_size=_KEY_BITS)
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
        try:
            status = self._status(pem, left)
        except SkillSyncError as error:
            return untried(name, error)
        if status == UNAUTHORIZED:
            return Check(name=name, mark=Mark.OK, text="a made-up key is refused")
        return Check(
            name=name,
            mark=Mark.FAIL,
            code="MADE_UP_KEY_ACCEPTED",
            text=f"a made-up key was answered {status} in place of 401: something answers that is not GitHub",
            fix="look at GITHUB_API_URL and at every proxy on the way; until then nothing is proved about the key",
        )

    def _older(self, key: str, left: Callable[[], float]) -> Check:
        name = "old-key-still-works"
        try:
            status = self._status(key, left)
        except SkillSyncError as error:
            return untried(name, error, Mark.WARN)
        if status == OK:
            return Check(name=name, mark=Mark.OK, text="the old key still works, until it is taken out of the setting")
        return Check(
            name=name,
            mark=Mark.WARN,
            code="OLD_KEY_REFUSED",
            text=f"the old key does not work any more ({status}): it was deleted before the rotation was finished",
            fix="see that the newest key is in every place that holds one; there is no way back to the old one",
        )

    def _status(self, key: str, left: Callable[[], float]) -> int:
        """Ask for the installation with one key's proof; refusals are answers, everything else raises as `Api.get`.

        Source:
            https://docs.github.com/en/rest/apps/apps#get-a-repository-installation-for-the-authenticated-app
        """
        # A proof of the App is sent as a token is, and checked as strictly: it is of the same characters.
        proof = App(id=self._app.id, key_pems=(key,)).jwt(self._alone.clock.now(), key)
        return self._alone.by_token(proof, left).get("/installation", also=REFUSALS).status
