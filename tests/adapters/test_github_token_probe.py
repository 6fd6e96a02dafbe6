"""What trying the newest token finds, over real HTTP against the stand-in; and an App's newest key."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared import wiring
from shared.adapters.github_token_probe import made_up
from shared.config import load_settings
from shared.core.credentials import Check, Mark, TokenNote, failed
from shared.core.plain_text import fingerprint
from tests.git_server import Fault, Reply
from tests.github.access import bearer
from tests.github.deliveries import Deliveries
from tests.github.server import GitHubStandIn
from tests.repos import Repo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

REPO = "octo/skills"
NEW = "github_pat_" + "11NEWthisMustNeverBeShown_" + "n" * 56
OLD = "github_pat_" + "11OLDthisMustNeverBeShown_" + "o" * 56
HOOK = "https://functions.example/webhook/github"


class Place:
    """A stand-in for GitHub with one repository and a webhook, and settings that hold the newest token."""

    def __init__(self, github: GitHubStandIn) -> None:
        self.github = github
        self.access = github.access
        self.settings = {
            "GITHUB_API_URL": github.api_url,
            "GITHUB_OWNER": "octo",
            "GITHUB_REPO": "skills",
            "GITHUB_BRANCH": "main",
            "GITHUB_TOKEN": NEW,
        }
        github.token = NEW
        self.ends(days=60)

    def ends(self, **left: float) -> None:
        self.access.expiration = f"{datetime.now(UTC) + timedelta(**left):%Y-%m-%d %H:%M:%S} UTC"

    def checks(self, seconds: float = 20.0) -> dict[str, Check]:
        probe = wiring.github_probe(load_settings(self.settings))
        assert probe is not None
        found = probe(seconds)
        names = [check.name for check in found]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)
        for check in found:
            assert "thisMustNeverBeShown" not in repr(check)
            assert "PRIVATE" not in repr(check)
            assert check.text
            assert (check.mark is Mark.OK) == (check.code == "") == (check.fix == "")
        return {check.name: check for check in found}

    def codes(self, seconds: float = 20.0) -> dict[str, str]:
        """The code of every check that did not end well, by its name."""
        return {check.name: check.code for check in self.checks(seconds).values() if check.mark is not Mark.OK}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    repo = Repo(tmp_path / "origin")
    repo.write("a/SKILL.md", "a")
    repo.commit()
    with GitHubStandIn(tmp_path / "github") as github:
        github.publish(REPO, repo)
        github.deliveries = Deliveries(REPO)
        github.deliveries.add_hook(HOOK, "s" * 40)
        yield Place(github)


# a personal token


def test_a_good_token_passes_every_check_and_says_when_it_ends(place: Place) -> None:
    checks = place.checks()
    assert list(checks) == [
        "value-has-its-form",
        "sees-the-repository",
        "reads-the-head",
        "reads-the-webhooks",
        "token-expires",
        "token-is-narrow",
        "made-up-token-is-refused",
    ]
    assert {check.mark for check in checks.values()} == {Mark.OK}
    assert f"{datetime.now(UTC) + timedelta(days=60):%Y-%m-%d}" in checks["token-expires"].text
    assert len(place.github.requests) == 4


def revoked(place: Place) -> None:
    place.github.token = "another"


def elsewhere(place: Place) -> None:
    place.github.token = "another"
    place.access.blind.add(NEW)


def forbidden(place: Place) -> None:
    place.github.fail(Fault(Reply(403, {}, b"{}"), match="repos/octo/skills", times=1))


def head_forbidden(place: Place) -> None:
    place.github.fail(Fault(Reply(403, {}, b"{}"), match="/commits/", times=1))


def head_hidden(place: Place) -> None:
    place.github.fail(Fault(Reply(404, {}, b"{}"), match="/commits/", times=1))


def no_branch(place: Place) -> None:
    place.settings["GITHUB_BRANCH"] = "mian"


def hooks_hidden(place: Place) -> None:
    place.github.switches.hooks_readable = False


def hooks_down(place: Place) -> None:
    place.github.fail(Fault(Reply(503), match="/hooks", times=9))


def endless(place: Place) -> None:
    place.access.expiration = ""


def unreadable_end(place: Place) -> None:
    place.access.expiration = "next year"


def near_end(place: Place) -> None:
    place.ends(days=13)


def over(place: Place) -> None:
    place.ends(seconds=-5)


def classic(place: Place) -> None:
    place.access.scopes = "repo, workflow"


def narrow_classic(place: Place) -> None:
    place.access.scopes = ""


def proxy(place: Place) -> None:
    place.access.believes_all = True


def short(place: Place) -> None:
    place.github.token = place.settings["GITHUB_TOKEN"] = "ghp_short"


def moved(place: Place) -> None:
    place.github.rename(REPO, "octo/renamed")


def down(place: Place) -> None:
    place.github.fail(Fault(Reply(503), times=99))


def limited(place: Place) -> None:
    place.github.fail(Fault(Reply(429, {"Retry-After": "60"}), times=99))


def unusable(place: Place) -> None:
    place.settings["GITHUB_TOKEN"] = "gh\N{LATIN SMALL LETTER E WITH ACUTE}" + "x" * 40


def no_app_key(place: Place) -> None:
    place.settings["GITHUB_APP_ID"] = "12"


FAULTS: list[tuple[Callable[[Place], None], dict[str, str]]] = [
    (revoked, {"sees-the-repository": "TOKEN_REFUSED"}),
    (elsewhere, {"sees-the-repository": "TOKEN_SCOPE"}),
    (forbidden, {"sees-the-repository": "TOKEN_SCOPE"}),
    (head_forbidden, {"reads-the-head": "TOKEN_SCOPE"}),
    (head_hidden, {"reads-the-head": "TOKEN_SCOPE"}),
    (no_branch, {"reads-the-head": "BRANCH_NOT_FOUND"}),
    (hooks_hidden, {"reads-the-webhooks": "HOOKS_NOT_READABLE"}),
    (hooks_down, {"reads-the-webhooks": "SOURCE_UNAVAILABLE"}),
    (endless, {"token-expires": "TOKEN_WITHOUT_EXPIRY"}),
    (unreadable_end, {"token-expires": "TOKEN_WITHOUT_EXPIRY"}),
    (near_end, {"token-expires": "TOKEN_EXPIRES_SOON"}),
    (over, {"token-expires": "TOKEN_EXPIRED"}),
    (classic, {"token-is-narrow": "TOKEN_TOO_WIDE"}),
    (narrow_classic, {}),
    (proxy, {"made-up-token-is-refused": "MADE_UP_TOKEN_ACCEPTED"}),
    (short, {"value-is-long-enough": "VALUE_TOO_SHORT"}),
    (moved, {"sees-the-repository": "SOURCE_MOVED"}),
    (down, dict.fromkeys(("sees-the-repository", "made-up-token-is-refused"), "SOURCE_UNAVAILABLE")),
    (limited, dict.fromkeys(("sees-the-repository", "made-up-token-is-refused"), "SOURCE_RATE_LIMITED")),
    (unusable, {"settings-are-right": "GITHUB_TOKEN_INVALID"}),
    (no_app_key, {"settings-are-right": "CONFIG_MISSING"}),
]
WARNINGS = {
    "HOOKS_NOT_READABLE",
    "TOKEN_WITHOUT_EXPIRY",
    "TOKEN_EXPIRES_SOON",
    "TOKEN_TOO_WIDE",
    "OLD_TOKEN_REFUSED",
    "OLD_KEY_REFUSED",
}


@pytest.mark.parametrize(("breaks", "expected"), FAULTS, ids=[breaks.__name__ for breaks, _ in FAULTS])
def test_every_fault_has_a_code_of_its_own(
    place: Place, breaks: Callable[[Place], None], expected: dict[str, str]
) -> None:
    breaks(place)
    checks = place.checks()
    assert {name: check.code for name, check in checks.items() if check.mark is not Mark.OK} == expected
    must_fail = {name for name, code in expected.items() if code not in WARNINGS and name != "reads-the-webhooks"}
    assert {check.name for check in failed(checks.values())} == must_fail


@pytest.mark.parametrize("status", [200, 403, 404])
def test_a_made_up_token_that_is_not_answered_401_proves_nothing(place: Place, status: int) -> None:
    place.github.control = lambda got: None if bearer(got.headers) == NEW else Reply(status, {}, b"{}")
    checks = place.checks()
    assert {name: check.code for name, check in checks.items() if check.code} == {
        "made-up-token-is-refused": "MADE_UP_TOKEN_ACCEPTED"
    }
    assert str(status) in checks["made-up-token-is-refused"].text


def test_only_the_newest_token_is_tried_for_what_it_reads(place: Place) -> None:
    place.settings["GITHUB_TOKEN"] = f"{NEW}\n{OLD}"
    place.github.token = OLD
    assert place.codes() == {"sees-the-repository": "TOKEN_REFUSED"}
    assert place.checks()["old-token-still-works"].mark is Mark.OK


@pytest.mark.parametrize("blind", [False, True])
def test_an_old_token_that_does_not_work_any_more_was_revoked_too_early(place: Place, *, blind: bool) -> None:
    place.settings["GITHUB_TOKEN"] = f"{NEW}\n{OLD}"
    place.access.blind |= {OLD} if blind else set()
    checks = place.checks()
    assert {name: check.code for name, check in checks.items() if check.code} == {
        "old-token-still-works": "OLD_TOKEN_REFUSED"
    }
    assert failed(checks.values()) == []


def test_two_tokens_that_work_pass(place: Place) -> None:
    place.settings["GITHUB_TOKEN"] = f"{NEW}\n{OLD}"
    place.access.others.add(OLD)
    assert place.codes() == {}


def test_without_a_token_a_public_repository_is_well(place: Place) -> None:
    del place.settings["GITHUB_TOKEN"]
    place.github.token = None
    (check,) = place.checks().values()
    assert (check.name, check.mark) == ("no-token", Mark.OK)


@pytest.mark.parametrize(("breaks", "expected"), [(revoked, "TOKEN_MISSING"), (down, "SOURCE_UNAVAILABLE")])
def test_without_a_token_a_repository_that_is_not_shown_is_a_fault(
    place: Place, breaks: Callable[[Place], None], expected: str
) -> None:
    del place.settings["GITHUB_TOKEN"]
    breaks(place)
    assert place.codes() == {"no-token": expected}


def test_what_github_tells_of_the_token_is_there_for_the_summary(place: Place) -> None:
    place.access.expiration = "2027-02-18 04:00:00 +0000"
    upstream = wiring.upstream(load_settings(place.settings), lambda: 9.0)
    assert upstream.token_note is not None
    upstream.source.head(None)
    ends = datetime(2027, 2, 18, 4, 0, 0, tzinfo=UTC)
    assert upstream.token_note() == TokenNote(fingerprint=fingerprint(NEW), expires_at=ends)


def test_another_git_repository_has_no_token_of_githubs(place: Place) -> None:
    place.settings["SOURCE_URL"] = place.github.url(f"{REPO}.git")
    settings = load_settings(place.settings)
    assert wiring.upstream(settings, lambda: 9.0).token_note is None
    assert (wiring.github_probe(settings), wiring.hook_probe(settings)) == (None, None)


def test_a_probe_ends_with_the_time_it_was_given(place: Place) -> None:
    assert set(place.codes(seconds=0.0).values()) == {"SOURCE_TOO_SLOW"}
    assert place.github.requests == []


def test_while_github_told_us_to_stay_away_nothing_is_tried(place: Place) -> None:
    place.github.switches.rate_remaining = 1
    upstream = wiring.upstream(load_settings(place.settings), lambda: 9.0)
    upstream.source.head(None)
    seen = len(place.github.requests)
    assert place.codes() == {"github-may-be-asked": "SOURCE_RATE_LIMITED"}
    assert len(place.github.requests) == seen


def test_what_a_probe_meets_holds_no_sync_back(place: Place) -> None:
    place.settings["GITHUB_TOKEN"] = f"{NEW}\n{OLD}"
    limited(place)
    place.checks()
    place.github.forget_faults()
    upstream = wiring.upstream(load_settings(place.settings), lambda: 9.0)
    assert upstream.quota is not None
    assert upstream.quota.blocked_until() is None
    seen = len(place.github.requests)
    upstream.source.head(None)
    assert [request.status for request in place.github.requests[seen:]] == [200]


@pytest.mark.parametrize("token", [NEW, "ghp_" + "a" * 36, "ghs_x_y", "v1.abc", "f" * 40, "gh", "_"])
def test_a_made_up_token_has_the_form_of_the_real_one_and_nothing_else_of_it(token: str) -> None:
    made = made_up(token)
    assert len(made) == len(token)
    assert [char == "_" for char in made] == [char == "_" for char in token]
    for prefix in ("github_pat_", "ghp_", "ghs_"):
        assert made.startswith(prefix) is token.startswith(prefix)
    if len(token) > 30:
        assert made != token
        assert made_up(token) != made


# an App


KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
PEMS = [
    key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()
    for key in KEYS
]
PUBLIC = [
    key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for key in KEYS
]


@pytest.fixture
def app(place: Place) -> Place:
    del place.settings["GITHUB_TOKEN"]
    place.settings |= {"GITHUB_APP_ID": "12", "GITHUB_APP_KEY": PEMS[0]}
    place.access.install_app("12", PUBLIC[0])
    return place


def test_a_good_key_passes_every_check(app: Place) -> None:
    checks = app.checks()
    assert list(checks) == [
        "key-is-accepted",
        "sees-the-repository",
        "reads-the-head",
        "reads-the-webhooks",
        "made-up-key-is-refused",
    ]
    assert {check.mark for check in checks.values()} == {Mark.OK}


def unknown_key(app: Place) -> None:
    app.access.install_app("12", PUBLIC[1])


def other_app(app: Place) -> None:
    app.access.install_app("13", PUBLIC[0])


def not_installed(app: Place) -> None:
    app.github.fail(Fault(Reply(404, {}, b"{}"), match="/installation", times=1))


def hidden(app: Place) -> None:
    app.github.remove(REPO)


APP_FAULTS: list[tuple[Callable[[Place], None], dict[str, str]]] = [
    (unknown_key, {"key-is-accepted": "APP_KEY_REFUSED"}),
    (other_app, {"key-is-accepted": "APP_KEY_REFUSED"}),
    (not_installed, {"key-is-accepted": "APP_NOT_INSTALLED"}),
    (hidden, {"sees-the-repository": "TOKEN_SCOPE"}),
    (head_forbidden, {"reads-the-head": "TOKEN_SCOPE"}),
    (hooks_hidden, {"reads-the-webhooks": "HOOKS_NOT_READABLE"}),
    (proxy, {"made-up-key-is-refused": "MADE_UP_KEY_ACCEPTED"}),
    (down, dict.fromkeys(("key-is-accepted", "made-up-key-is-refused"), "SOURCE_UNAVAILABLE")),
]


@pytest.mark.parametrize(("breaks", "expected"), APP_FAULTS, ids=[breaks.__name__ for breaks, _ in APP_FAULTS])
def test_every_fault_of_an_app_has_a_code_of_its_own(
    app: Place, breaks: Callable[[Place], None], expected: dict[str, str]
) -> None:
    breaks(app)
    assert app.codes() == expected


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (PUBLIC, {}),
        (PUBLIC[:1], {"old-key-still-works": "OLD_KEY_REFUSED"}),
        (PUBLIC[1:], {"key-is-accepted": "APP_KEY_REFUSED"}),
    ],
    ids=["both", "newest", "old"],
)
def test_of_two_keys_the_newest_is_tried_alone_and_the_old_one_beside(
    app: Place, known: list[bytes], expected: dict[str, str]
) -> None:
    app.settings["GITHUB_APP_KEY"] = "".join(PEMS)
    app.access.install_app("12", *known)
    assert app.codes() == expected


def test_an_app_that_github_limits_is_not_tried(app: Place) -> None:
    app.github.switches.rate_remaining = 3
    wiring.upstream(load_settings(app.settings), lambda: 9.0).source.head(None)
    seen = len(app.github.requests)
    assert app.codes() == {"github-may-be-asked": "SOURCE_RATE_LIMITED"}
    assert len(app.github.requests) == seen
