"""The webhooks' API as an operator asks it: what is asked again and what is not, and what of an answer is taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.adapters.github_hook_editor import MAX_BYTES, RETRIES, HookEditor
from shared.errors import ConfigError, SkillSyncError

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "github_pat_" + "x" * 30
HOOK = {"active": True, "events": ["push"], "config": {"url": "https://h/webhook/github"}}


class GitHub(httpx.BaseTransport):
    """Answers as it is told; the last answer stays."""

    def __init__(self, *answers: tuple[int, bytes] | httpx.TransportError) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, httpx.TransportError):
            raise answer
        return httpx.Response(answer[0], stream=httpx.ByteStream(answer[1]))


def code(github: GitHub, call: Callable[[HookEditor], object]) -> str:
    with HookEditor("https://api.example/", "octo/skills", TOKEN, github) as editor:
        try:
            call(editor)
        except SkillSyncError as error:
            return "TOKEN_SHOWN" if TOKEN in str(error) else error.code
    return ""


def test_each_call_goes_to_its_own_place_with_the_token() -> None:
    github = GitHub((200, b'{"id": 7}'))
    for call in (
        lambda editor: editor.create(HOOK),
        lambda editor: editor.change(7, HOOK),
        lambda editor: editor.ping(7),
    ):
        assert code(github, call) == ""
    assert [(asked.method, str(asked.url)) for asked in github.asked] == [
        ("POST", "https://api.example/repos/octo/skills/hooks"),
        ("PATCH", "https://api.example/repos/octo/skills/hooks/7"),
        ("POST", "https://api.example/repos/octo/skills/hooks/7/pings"),
    ]
    assert {asked.headers["Authorization"] for asked in github.asked} == {f"Bearer {TOKEN}"}
    assert json.loads(github.asked[0].content) == {"name": "web", **HOOK}


@pytest.mark.parametrize("fault", [httpx.ReadTimeout("x"), httpx.ConnectError("x"), (502, b"")])
def test_a_question_is_asked_again_and_a_change_is_not(fault: tuple[int, bytes] | httpx.TransportError) -> None:
    assert code(question := GitHub(fault), HookEditor.listed) == "GITHUB_UNAVAILABLE"
    assert len(question.asked) == RETRIES + 1
    unknown = isinstance(fault, httpx.ReadTimeout)
    assert code(change := GitHub(fault), lambda editor: editor.create(HOOK)) == (
        "OUTCOME_UNKNOWN" if unknown else "GITHUB_UNAVAILABLE"
    )
    assert len(change.asked) == 1


def test_an_answer_without_end_is_given_up() -> None:
    assert code(GitHub((200, b" " * (MAX_BYTES + 1))), HookEditor.listed) == "GITHUB_UNAVAILABLE"


@pytest.mark.parametrize("body", [b"", b"no json", b"{}", b'"x"', b"[1"])
def test_an_answer_that_is_no_list_is_refused(body: bytes) -> None:
    assert code(GitHub((200, body)), HookEditor.listed) == "GITHUB_UNAVAILABLE"


def test_of_the_deliveries_only_pings_count_and_what_is_odd_is_left_out() -> None:
    calls = [
        {"id": 1, "event": "ping", "status_code": 200},
        {"id": 2, "event": "push", "status_code": 200},
        {"id": 3, "event": "ping", "status_code": None},
        {"id": "4", "event": "ping", "status_code": 200},
        {"id": 5, "event": "ping", "status_code": "200"},
        "x",
    ]
    with HookEditor("https://api.example", "octo/skills", TOKEN, GitHub((200, json.dumps(calls).encode()))) as editor:
        assert editor.pings(7) == {1: 200, 3: 0}


def test_a_token_that_cannot_be_sent_is_refused_before_anybody_is_asked() -> None:
    github = GitHub((200, b"[]"))
    with HookEditor("https://api.example", "octo/skills", "tökén", github) as editor, pytest.raises(ConfigError):
        editor.listed()
    assert github.asked == []
