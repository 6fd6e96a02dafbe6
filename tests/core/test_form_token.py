"""A form's token holds for its person, its purpose and a quarter of an hour; nothing else is one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.core.form_token import LIFETIME_SECONDS, check_form_token, check_origin, form_token
from shared.errors import InputError

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = "k" * 40


def refused(token: str, key: str = KEY, purpose: str = "/actions/sync", now: datetime = NOW) -> str:
    with pytest.raises(InputError) as caught:
        check_form_token(token, key, purpose, now)
    assert caught.value.status == 403
    return caught.value.code


def test_a_token_holds_until_its_time_is_over() -> None:
    token = form_token(KEY, "/actions/sync", NOW)
    check_form_token(token, KEY, "/actions/sync", NOW + timedelta(seconds=LIFETIME_SECONDS))
    assert refused(token, now=NOW + timedelta(seconds=LIFETIME_SECONDS + 1)) == "FORM_EXPIRED"


def test_a_token_is_for_one_key_and_one_purpose_and_its_time_cannot_be_moved() -> None:
    token = form_token(KEY, "/actions/sync", NOW)
    until, _, seal = token.partition(".")
    assert refused(token, key="o" * 40) == "FORM_INVALID"
    assert refused(token, purpose="/actions/sync\n") == "FORM_INVALID"
    assert refused(f"{int(until) + 1}.{seal}") == "FORM_INVALID"


def test_no_part_of_the_key_stands_in_a_token() -> None:
    assert KEY[:4] not in form_token(KEY, "/actions/sync", NOW)


@pytest.mark.parametrize(
    "token",
    ["", ".", "1.", "x" * 100, "1." + "0" * 64, "1." + "G" * 64, "-1." + "0" * 64, "9" * 13 + "." + "0" * 64, "\ud800"],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refused(token) == "FORM_INVALID"


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        (None, None),
        (None, "null"),
        ("same-origin", "null"),
        ("same-origin", None),
        (None, "https://host.example:8443"),
        ("same-origin", "http://HOST.example:8443"),
    ],
)
def test_a_post_that_may_come_from_our_own_page_passes(site: str | None, origin: str | None) -> None:
    check_origin(site, origin, "host.example:8443")


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        ("cross-site", None),
        ("same-site", "null"),
        ("none", None),
        ("", None),
        (None, ""),
        (None, "host.example:8443"),
        (None, "https://host.example"),
        (None, "https://host.example:8443.evil.example"),
        ("same-origin", "https://evil.example"),
    ],
)
def test_a_post_from_elsewhere_is_refused(site: str | None, origin: str | None) -> None:
    with pytest.raises(InputError) as caught:
        check_origin(site, origin, "host.example:8443")
    assert (caught.value.code, caught.value.status) == ("ORIGIN_FOREIGN", 403)
