"""The webhook against real payloads: every example of npm's `@octokit/webhooks-examples`, of every event of github.com."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from shared.core.webhook import check_signature, ignored_because, parse_push
from shared.errors import InputError
from shared.model import Push
from tests.functions.cloud import SECRET, Cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(__file__).resolve().parents[1] / "node/node_modules/@octokit/webhooks-examples"
MISSING = "@octokit/webhooks-examples is not installed; `make test` installs it (npm install --prefix tests/node)"
FIRST = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
NOTHING = "0" * 40
NEW_TAG = ("refs/tags/simple-tag", NOTHING, FIRST)
DELETED_TAG = ("refs/tags/simple-tag", FIRST, NOTHING)
NEW_BRANCH = ("refs/heads/master", NOTHING, FIRST)


@pytest.fixture(scope="module")
def examples() -> dict[str, list[dict[str, Any]]]:
    """Every example payload by its event's name."""
    file = PACKAGE / "api.github.com/index.json"
    if not file.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    listed = json.loads(file.read_bytes())
    return {event["name"]: event["examples"] for event in listed}


def bodies(examples: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, dict[str, Any], bytes]]:
    for name, payloads in examples.items():
        for payload in payloads:
            yield name, payload, json.dumps(payload).encode()


def test_the_package_has_the_events_and_the_number_of_payloads_that_these_tests_were_written_for(
    examples: dict[str, list[dict[str, Any]]],
) -> None:
    assert len(examples) >= 58
    assert sum(map(len, examples.values())) >= 329
    assert len(examples["push"]) == 7


def test_each_payload_is_read_without_a_failure_and_only_a_push_is_one(
    examples: dict[str, list[dict[str, Any]]],
) -> None:
    for name, _, body in bodies(examples):
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        check_signature(f"sha256={signature}", body, [SECRET])
        try:
            push = parse_push(body)
        except InputError as error:
            pytest.fail(f"{name}: {error}")
        assert (push is not None) == (name == "push"), name
        assert ignored_because(push, repo="octo/skills", branch=None) is not None


def test_each_push_is_parsed_into_what_it_says(examples: dict[str, list[dict[str, Any]]]) -> None:
    for payload in examples["push"]:
        assert parse_push(json.dumps(payload).encode()) == Push(
            repo=payload["repository"]["full_name"],
            ref=payload["ref"],
            before=payload["before"],
            after=payload["after"],
            forced=payload["forced"],
            deleted=payload["deleted"],
            default_branch=payload["repository"]["default_branch"],
            changed_skill_files=0,
        )


def test_the_pushes_are_a_new_tag_four_deleted_tags_and_a_new_branch_twice(
    examples: dict[str, list[dict[str, Any]]],
) -> None:
    meant = [(payload["ref"], payload["before"], payload["after"]) for payload in examples["push"]]
    assert meant == [NEW_TAG, DELETED_TAG, DELETED_TAG, DELETED_TAG, NEW_BRANCH, NEW_BRANCH, DELETED_TAG]
    assert [payload["forced"] for payload in examples["push"]] == [False] * 7


def test_no_example_is_an_ordinary_update_of_a_branch(examples: dict[str, list[dict[str, Any]]]) -> None:
    # Why tests/github/events.py makes its own. When this fails, the package has one at last: test it here too.
    updates = [
        payload
        for payload in examples["push"]
        if payload["ref"].startswith("refs/heads/") and NOTHING not in {payload["before"], payload["after"]}
    ]
    assert updates == []


def test_only_the_new_default_branch_asks_for_a_sync(examples: dict[str, list[dict[str, Any]]]) -> None:
    reasons = [
        ignored_because(parse_push(json.dumps(payload).encode()), repo="codertocat/hello-world", branch=None)
        for payload in examples["push"]
    ]
    tag = "another branch or a tag; nothing to do"
    assert reasons == [tag, tag, tag, tag, None, None, tag]


def test_the_function_answers_each_of_them_200_and_notes_of_pings_alone_that_they_came(
    examples: dict[str, list[dict[str, Any]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = Cloud(tmp_path, monkeypatch)
    ordered = sorted(bodies(examples), key=lambda each: each[0] == "ping")
    for name, _, body in ordered:
        assert not cloud.touched_store() or name == "ping", name
        answer = cloud.webhook(body, headers={"X-GitHub-Event": name})
        assert (answer.status_code, set(answer.json or {})) == (200, {"message"}), name
    assert [entry.name for entry in cloud.store.list("")] == ["summary.json"]
