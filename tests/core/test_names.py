from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.names import (
    MAX_NAME_BYTES,
    MAX_SLUG_CHARS,
    check_name,
    event_name,
    is_digest,
    is_slug,
    later,
    object_name,
    parse_deployment,
    parse_timestamp,
    puller_name,
    record_name,
    timestamp,
)
from shared.errors import InputError
from shared.model import DeploymentId
from tests.core.samples import digest

LEGAL = [
    "a",
    "current.json",
    "objects/" + "0" * 64,
    "a/b/c",
    "...",
    "a..b",
    ".a",
    "-",
    "_",
    "A.Z_9-/.x",
    "a" * MAX_NAME_BYTES,
]
ILLEGAL = [
    *("", "/", "/a", "a/", "a//b", ".", "..", "a/.", "./a", "a/../b", "../a"),
    *("a b", "a\n", "\na", "a\0", "a\\b", "a:b", "a*", "a?", "a%2f", "a~", "a+b", "gs://a", "ä", "a\u0430", "\ud800"),
    *("a" * (MAX_NAME_BYTES + 1), "a/" * 256 + "a", "\uff41"),
]


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_name_is_returned(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ILLEGAL)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        check_name(name)
    assert caught.value.code == "NAME_INVALID"


def test_every_object_of_ours_has_a_legal_name() -> None:
    names = [
        object_name(digest(1)),
        record_name(DeploymentId("999999999-999999999")),
        puller_name("a" * MAX_SLUG_CHARS),
        event_name("2026-11-21T12:34:56.789Z", "2-57-rejected"),
    ]
    assert [check_name(name) for name in names] == names
    assert names[1:] == [
        "deployments/999999999-999999999.json",
        f"pullers/{'a' * MAX_SLUG_CHARS}.json",
        "events/2026-11-21/123456.789-2-57-rejected.json",
    ]


@pytest.mark.parametrize("text", ["a", "0", "golden-horde", "a-b-c", "1-2", "a" * 64])
def test_a_slug_is_lower_case_letters_and_digits_with_single_hyphens(text: str) -> None:
    assert is_slug(text)


@pytest.mark.parametrize(
    "text",
    ["", "-", "-a", "a-", "a--b", "A", "a_b", "a.b", "a b", "a/b", "a\n", "é", "\u0661", "a" * 65, "..", "\u217a"],
)
def test_anything_else_is_no_slug(text: str) -> None:
    assert not is_slug(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        *[
            ("0" * 64, True),
            ("a" * 64, True),
            ("A" * 64, False),
            ("a" * 63, False),
            ("a" * 65, False),
            ("g" * 64, False),
        ],
        *[("a" * 64 + "\n", False), ("\u0660" * 64, False), ("", False)],
    ],
)
def test_a_digest_is_64_lower_case_hex_digits(text: str, *, valid: bool) -> None:
    assert is_digest(text) is valid


@pytest.mark.parametrize(
    ("text", "parts"), [("1-1", (1, 1)), ("2-57", (2, 57)), ("999999999-999999999", (999999999,) * 2)]
)
def test_a_deployment_is_epoch_and_sequence(text: str, parts: tuple[int, int]) -> None:
    assert parse_deployment(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1-",
        "-1",
        "0-1",
        "1-0",
        "01-1",
        "1-01",
        "1-1-1",
        "a-1",
        "1 -1",
        "1-1\n",
        "1-1/..",
        "\u0661-1",
        "1-" + "9" * 10,
    ],
)
def test_anything_else_is_no_deployment(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_deployment(text)
    assert caught.value.code == "DEPLOYMENT_ID_INVALID"


def test_a_time_is_written_in_utc_with_milliseconds() -> None:
    moment = datetime(2026, 11, 21, 13, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert timestamp(moment) == "2026-11-21T12:00:00.999Z"


@given(*[st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC))] * 2)  # noqa: DTZ001 - the zone is added
def test_written_times_sort_as_the_times_do_and_read_back(one: datetime, other: datetime) -> None:
    assert (timestamp(one) <= timestamp(other)) or one > other
    assert timestamp(parse_timestamp(timestamp(one))) == timestamp(one)
    assert timedelta(0) <= one - parse_timestamp(timestamp(one)) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-11-21", "2026-11-21T12:00:00Z", "2026-11-21T12:00:00.000", "2026-11-21T12:00:00.000+00:00"),
        *(
            "2026-13-01T12:00:00.000Z",
            "2026-02-30T12:00:00.000Z",
            "2026-11-21T25:00:00.000Z",
            "0000-01-01T00:00:00.000Z",
        ),
        *(
            "2026-11-21 12:00:00.000Z",
            "2026-11-21t12:00:00.000z",
            "\u0662026-11-21T12:00:00.000Z",
            "2026-11-21T12:00:00.000Z\n",
        ),
    ],
)
def test_a_time_in_any_other_form_is_refused(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_timestamp(text)
    assert caught.value.code == "TIME_INVALID"


def test_later_adds_to_a_written_time() -> None:
    assert later("2026-12-31T23:59:59.999Z", milliseconds=1) == "2027-01-01T00:00:00.000Z"
