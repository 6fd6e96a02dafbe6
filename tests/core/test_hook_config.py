"""How the webhook must be set: what differs is named, and another service's webhook is left alone."""

from __future__ import annotations

from typing import Any

import pytest

from shared.core.hook_config import calling, differences, wanted

URL = "https://sync.example/webhook/github"


def hook(**changes: Any) -> dict[str, object]:  # noqa: ANN401 - whatever GitHub might show
    config = {"url": URL, "content_type": "json", "insecure_ssl": "0", "secret": "********"}
    found = {"id": 1, "active": True, "events": ["push"], "config": config | changes.pop("config", {})}
    return found | changes


def test_a_webhook_as_we_make_it_differs_in_nothing() -> None:
    assert differences({"id": 1, **wanted(URL, "s" * 40)}, URL) == []
    assert differences(hook(), URL) == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"config": {"content_type": "form"}}, ["content_type"]),
        ({"config": {"insecure_ssl": "1"}}, ["insecure_ssl"]),
        ({"config": {"insecure_ssl": 1}}, ["insecure_ssl"]),
        ({"config": {"insecure_ssl": None}}, ["insecure_ssl"]),
        ({"config": {"secret": None}}, ["secret"]),
        ({"config": {"url": f"{URL}/"}}, ["url"]),
        ({"events": ["push", "pull_request"]}, ["events"]),
        ({"events": ["*"]}, ["events"]),
        ({"events": []}, ["events"]),
        ({"events": None}, ["events"]),
        ({"active": False}, ["active"]),
        ({"active": False, "events": [], "config": {"content_type": "form"}}, ["content_type", "events", "active"]),
        ({"config": {"insecure_ssl": 0}}, []),
    ],
)
def test_each_thing_that_differs_is_named(changes: dict[str, Any], what: list[str]) -> None:
    assert differences(hook(**changes), URL) == what


def test_a_configuration_that_cannot_be_read_differs_in_all() -> None:
    assert differences({"id": 1, "config": None}, URL) == [
        "url",
        "content_type",
        "insecure_ssl",
        "secret",
        "events",
        "active",
    ]


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        (URL, True),
        (f"{URL}/", True),
        ("HTTPS://Sync.Example/webhook/github", True),
        ("http://sync.example/webhook/github", False),
        ("https://staging.example/webhook/github", False),
        ("https://sync.example/webhook/GitHub", False),
        ("https://sync.example/other", False),
        ("https://[::1/webhook/github", False),
        (None, False),
    ],
)
def test_only_a_webhook_that_calls_this_very_address_is_ours(url: object, ours: bool) -> None:  # noqa: FBT001 - the verdict
    assert bool(calling([hook(config={"url": url})], URL)) is ours
