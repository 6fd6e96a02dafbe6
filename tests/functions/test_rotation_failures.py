"""What goes wrong with a rotation, over HTTP on a real store: each is refused by a clear code, and nothing is lost by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.core.plain_text import fingerprint
from tests.functions.cloud import API_KEY, SECRET, Cloud, skill_text
from tests.functions.forge import NEW as NEW_TEXT
from tests.functions.forge import OLD as OLD_TEXT
from tests.functions.forge import TOKEN, Forge
from tests.git_server import Fault
from tests.github.rest import message
from tests.github.server import GitHubStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from werkzeug.test import TestResponse

HOOK, OTHER = "GITHUB_WEBHOOK_SECRET", "MANUAL_SYNC_API_KEY"
NEW, STRAY = "n" * 40, "s" * 40
PING = {"zen": "Keep it logically awesome.", "hook_id": 7, "repository": {"full_name": "octo/skills"}}


class Mounted:
    """The functions with the webhook's secret in a file, as a mounted secret is; a rotation of it is open."""

    def __init__(self, cloud: Cloud, file: Path) -> None:
        self.cloud = cloud
        self.file = file
        self.write(SECRET)
        cloud.set(HOOK, None)
        cloud.set(f"{HOOK}_FILE", str(file))

    def write(self, text: str) -> None:
        draft = self.file.with_suffix(".new")
        draft.write_bytes(text.encode())
        draft.replace(self.file)

    def step(self, action: str, *, name: str = HOOK, **more: str) -> TestResponse:
        return self.cloud.operator("sync", "POST", "/api/rotation", {"action": action, "name": name, **more})

    def ping(self, secret: str) -> int:
        return self.cloud.webhook(PING, secret=secret).status_code

    def row(self, name: str = HOOK) -> dict[str, Any]:
        document: dict[str, Any] = self.cloud.operator("status", "GET", "/api/rotation").json or {}
        return next(item for item in document["credentials"] if item["name"] == name)

    def goes_on(self) -> None:
        """From where it stands, the rotation is brought to its end."""
        self.write(f"{NEW}\n{SECRET}")
        assert self.ping(NEW) == 200
        assert outcome(self.step("verify")) == (200, "verified")
        assert outcome(self.step("finish")) == (200, "finished")
        self.write(NEW)
        assert (self.row()["fingerprints"], self.row()["retired"]) == ([fingerprint(NEW)], None)

    def is_given_up(self) -> None:
        """From where it stands, the rotation is given up, and the old value works as before."""
        assert outcome(self.step("abort")) == (200, "aborted")
        self.write(SECRET)
        assert self.ping(SECRET) == 200
        assert outcome(self.step("begin")) == (200, "begun")


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mounted:
    cloud = Cloud(tmp_path, monkeypatch)
    cloud.set("POLLING_INTERVAL_MIN", "0.000001")
    cloud.repo.write("a/SKILL.md", skill_text("a"))
    cloud.repo.commit("Add a")
    made = Mounted(cloud, tmp_path / "secret")
    assert cloud.operator("poll", "POST", "/api/poll").status_code == 200
    assert outcome(made.step("begin")) == (200, "begun")
    return made


def outcome(answer: TestResponse) -> tuple[int, str]:
    document = answer.json or {}
    return answer.status_code, str(document.get("result") or document.get("code"))


def failed(answer: TestResponse, mark: str = "fail") -> set[str]:
    return {check["code"] for check in (answer.json or {})["checks"] if check["mark"] == mark}


@pytest.mark.parametrize(
    "text",
    [
        f"{NEW}\r\n{SECRET}\r\n",
        f"{NEW}  \n{SECRET}\t\n",
        f"\n\n {NEW}\n\n\n{SECRET}\n\n",
        f"{NEW}\r\n\r\n{SECRET}",
    ],
    ids=["crlf", "trailing", "around", "empty-lines"],
)
def test_blanks_and_line_ends_around_a_value_do_not_count(mounted: Mounted, text: str) -> None:
    mounted.write(text)
    assert (mounted.ping(NEW), mounted.ping(SECRET)) == (200, 200)
    assert mounted.row()["fingerprints"] == [fingerprint(NEW), fingerprint(SECRET)]
    assert outcome(mounted.step("verify", fingerprint=fingerprint(NEW))) == (200, "verified")


@pytest.mark.parametrize("ends", ["goes_on", "is_given_up"])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{NEW[:20]} {NEW[20:]}\n{SECRET}", "without blanks inside"),
        (f"{NEW[:20]}\t{NEW[20:]}\n{SECRET}", "without blanks inside"),
        (f"{NEW[:31]}\n{SECRET}", "at least 32 characters"),
        (f"{NEW}\n{STRAY}\n{SECRET}", "at most 2 values"),
        (f"{NEW}\n{SECRET}\n{SECRET}", "at most 2 values"),
    ],
    ids=["blank", "tab", "short", "three", "three-alike"],
)
def test_a_setting_of_a_wrong_form_is_named_and_once_mended_nothing_is_lost(
    mounted: Mounted, text: str, told: str, ends: str
) -> None:
    mounted.write(text)
    for answer in (mounted.step("verify"), mounted.step("finish"), mounted.step("abort"), mounted.cloud.webhook(PING)):
        assert outcome(answer) == (503, "CONFIG_INVALID")
        assert HOOK in answer.text
        assert told in answer.text
        assert not [value for value in (NEW[:20], STRAY, SECRET) if value in answer.text]
    mounted.write(SECRET)
    assert mounted.ping(SECRET) == 200
    getattr(mounted, ends)()


BOTH = f"{NEW}\n{SECRET}"
WRONG: dict[str, tuple[str, str, str]] = {
    "not-deployed": (SECRET, "verify", "ROTATION_NOT_SEEN"),
    "another-than-said": (f"{STRAY}\n{SECRET}", "verify", "ROTATION_NOT_SEEN"),
    "not-newest": (f"{SECRET}\n{NEW}", "verify", "ROTATION_NOT_NEWEST"),
    "old-gone-too-early": (NEW, "verify", "ROTATION_OLD_GONE"),
    "finish-without-verify": (BOTH, "finish", "ROTATION_UNVERIFIED"),
    "two-at-once": (BOTH, "begin", "ROTATION_OPEN"),
}


@pytest.mark.parametrize("ends", ["goes_on", "is_given_up"])
@pytest.mark.parametrize("case", WRONG)
def test_a_step_in_the_wrong_order_is_refused_and_the_rotation_stays_as_it_is(
    mounted: Mounted, case: str, ends: str
) -> None:
    text, action, code = WRONG[case]
    mounted.write(text)
    more = {"fingerprint": fingerprint(NEW)} if action == "verify" else {}
    assert outcome(mounted.step(action, **more)) == (409, code)
    assert mounted.row()["state"] == "rotating"
    getattr(mounted, ends)()


@pytest.mark.parametrize("ends", ["goes_on", "is_given_up"])
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{STRAY}\n{SECRET}", "ROTATION_UNVERIFIED"),
        (f"{SECRET}\n{NEW}", "ROTATION_NOT_SEEN"),
        (NEW, "ROTATION_OLD_GONE"),
        (SECRET, "ROTATION_NOT_SEEN"),
    ],
    ids=["another", "turned-round", "old-gone", "new-gone"],
)
def test_what_was_verified_must_still_be_there_to_finish(mounted: Mounted, text: str, code: str, ends: str) -> None:
    mounted.write(BOTH)
    assert mounted.ping(NEW) == 200
    assert outcome(mounted.step("verify")) == (200, "verified")
    mounted.write(text)
    assert outcome(mounted.step("finish")) == (409, code)
    getattr(mounted, ends)()


def test_an_old_value_that_goes_too_early_locks_out_whoever_signs_with_it_until_it_is_put_back(
    mounted: Mounted,
) -> None:
    mounted.write(NEW)
    assert mounted.ping(SECRET) == 401
    mounted.write(BOTH)
    assert mounted.ping(SECRET) == 200
    mounted.goes_on()


def test_a_leaked_value_is_taken_out_at_once_and_the_new_one_counts_from_then(mounted: Mounted) -> None:
    mounted.write(BOTH)
    assert mounted.ping(NEW) == 200
    assert outcome(mounted.step("verify")) == (200, "verified")
    mounted.write(NEW)
    assert outcome(mounted.step("finish")) == (409, "ROTATION_OLD_GONE")
    told = mounted.step("abort")
    assert outcome(told) == (200, "aborted")
    assert (told.json or {})["next"].endswith(f"everybody goes on with {fingerprint(NEW)}, which counts from now on")
    row = mounted.row()
    assert (row["fingerprints"], row["known_from"], row["days_left"]) == ([fingerprint(NEW)], "changed", 30)
    assert (mounted.ping(NEW), mounted.ping(SECRET)) == (200, 401)


def test_a_rotation_that_is_given_up_makes_the_old_value_no_younger(mounted: Mounted) -> None:
    since = mounted.row()["since"]
    mounted.write(BOTH)
    assert outcome(mounted.step("abort")) == (200, "aborted")
    assert fingerprint(NEW) in mounted.cloud.operator("status", "GET", "/api/rotation").text
    mounted.write(SECRET)
    assert outcome(mounted.step("begin", name=OTHER)) == (200, "begun")
    assert (mounted.row()["since"], mounted.row()["known_from"]) == (since, "first_seen")


def test_nobody_is_locked_out_by_an_open_rotation_of_the_operators_key(mounted: Mounted) -> None:
    assert outcome(mounted.step("abort")) == (200, "aborted")
    assert outcome(mounted.step("begin", name=OTHER)) == (200, "begun")
    mounted.cloud.set(OTHER, f"{NEW}\n{API_KEY}")
    for key in (NEW, API_KEY):
        assert mounted.cloud.operator("poll", "POST", "/api/poll", key=key).status_code == 200


NEWEST = "github_pat_" + "n" * 60
TOKENS = "GITHUB_TOKEN"


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    """A rotation of the token is open; the new one may read."""
    with GitHubStandIn(tmp_path / "github") as github:
        made = Forge(tmp_path, monkeypatch, github)
        made.cloud.set("POLLING_INTERVAL_MIN", "0.000001")
        made.commit(OLD_TEXT)
        assert made.poll().status_code == 200
        github.access.others.add(NEWEST)
        assert of_token(made, "begin").status_code == 200
        made.cloud.set(TOKENS, f"{NEWEST}\n{TOKEN}")
        yield made


def of_token(forge: Forge, action: str) -> TestResponse:
    return forge.cloud.operator("sync", "POST", "/api/rotation", {"action": action, "name": TOKENS})


def syncs(forge: Forge) -> bool:
    """Whether a commit still arrives."""
    forge.commit(NEW_TEXT)
    return forge.poll().status_code == 200 and forge.text == NEW_TEXT


def test_where_a_made_up_token_is_let_in_nothing_is_proved(forge: Forge) -> None:
    forge.github.access.believes_all = True
    answer = of_token(forge, "verify")
    assert outcome(answer) == (409, "ROTATION_PROBE_FAILED")
    assert failed(answer) == {"MADE_UP_TOKEN_ACCEPTED"}
    assert outcome(of_token(forge, "finish")) == (409, "ROTATION_UNVERIFIED")
    forge.github.access.believes_all = False
    assert syncs(forge)
    assert outcome(of_token(forge, "verify")) == (200, "verified")
    assert outcome(of_token(forge, "finish")) == (200, "finished")


def test_a_token_that_may_not_read_the_contents_is_refused_by_its_scope(forge: Forge) -> None:
    forge.github.fail(Fault(message(403, "Resource not accessible by personal access token"), match="/commits/"))
    answer = of_token(forge, "verify")
    assert outcome(answer) == (409, "ROTATION_PROBE_FAILED")
    assert "TOKEN_SCOPE" in failed(answer)
    forge.github.forget_faults()
    assert outcome(of_token(forge, "verify")) == (200, "verified")


def test_an_old_token_that_is_deleted_too_early_is_told_and_nothing_stops(forge: Forge) -> None:
    forge.github.token = NEWEST
    answer = of_token(forge, "verify")
    assert outcome(answer) == (200, "verified")
    assert "OLD_TOKEN_REFUSED" in failed(answer, "warn")
    assert syncs(forge)
    assert outcome(of_token(forge, "finish")) == (200, "finished")


def test_a_new_token_that_is_deleted_by_mistake_is_told_and_nothing_stops(forge: Forge) -> None:
    assert outcome(of_token(forge, "verify")) == (200, "verified")
    forge.github.access.others.clear()
    assert syncs(forge)
    assert failed(of_token(forge, "verify")) == {"TOKEN_REFUSED"}
    assert outcome(of_token(forge, "abort")) == (200, "aborted")
    forge.cloud.set(TOKENS, TOKEN)
    assert outcome(of_token(forge, "begin")) == (200, "begun")
