from __future__ import annotations

import contextlib
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.webhook import check_signature, hook_number, ignored_because, parse_push
from shared.errors import DeniedError, InputError
from shared.model import Push
from tests.core.samples import git_id

# The example of GitHub's own documentation.
SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
SIGNATURE = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
HEX = SIGNATURE.removeprefix("sha256=")


def sha(algorithm: str, body: bytes = BODY, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, algorithm).hexdigest()


def test_the_signature_of_githubs_own_example_holds() -> None:
    check_signature(SIGNATURE, BODY, [SECRET])


def test_each_of_two_secrets_holds_while_one_is_rotated() -> None:
    for secrets in ([SECRET, "other"], ["other", SECRET], [SECRET, SECRET]):
        check_signature(SIGNATURE, BODY, secrets)


def test_a_secret_and_a_body_may_be_any_text_and_bytes() -> None:
    body = bytes(range(256))
    check_signature(f"sha256={sha('sha256', body, 'geheimß🎉')}", body, ["geheimß🎉"])
    check_signature(f"sha256={sha('sha256', b'')}", b"", [SECRET])


def test_hex_digits_may_be_capitals() -> None:
    check_signature(f"sha256={HEX.upper()}", BODY, [SECRET])


FORGED = {
    "nothing": "",
    "the prefix alone": "sha256=",
    "no prefix": HEX,
    "sha1": f"sha1={sha('sha1')}",
    "sha1 under the name of sha256": f"sha256={sha('sha1')}",
    "sha256 under the name of sha1": f"sha1={HEX}",
    "sha512": f"sha512={sha('sha512')}",
    "sha512 under the name of sha256": f"sha256={sha('sha512')}",
    "one digit less": SIGNATURE[:-1],
    "one digit more": f"{SIGNATURE}0",
    "another last digit": f"{SIGNATURE[:-1]}8",
    "zeros": f"sha256={'0' * 64}",
    "the prefix in capitals": f"SHA256={HEX}",
    "a blank before": f" {SIGNATURE}",
    "a line break behind": f"{SIGNATURE}\n",
    "two signatures": f"{SIGNATURE},{SIGNATURE}",
    "no hex": f"sha256={'z' * 64}",
    "letters outside ASCII": f"sha256={'é' * 64}",
    "digits outside ASCII": SIGNATURE.replace("7", "\uff17"),
    "a lone surrogate": "sha256=\udcff",
    "very long": f"sha256={'0' * 1_000_000}",
    "another secret": f"sha256={sha('sha256', secret='other')}",
    "another body": f"sha256={sha('sha256', body=b'Hello, World')}",
    "no key": f"sha256={hashlib.sha256(BODY).hexdigest()}",
    "the empty key": f"sha256={sha('sha256', secret='')}",
}


@pytest.mark.parametrize("header", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("secrets", [[SECRET], ["a" * 40, SECRET], []])
def test_every_other_signature_is_refused(header: str, secrets: list[str]) -> None:
    with pytest.raises(DeniedError) as caught:
        check_signature(header, BODY, secrets)
    assert caught.value.code == "SIGNATURE_INVALID"


def test_without_secrets_nobody_can_be_proved() -> None:
    with pytest.raises(DeniedError):
        check_signature(SIGNATURE, BODY, [])


def test_a_missing_signature_says_what_to_set() -> None:
    with pytest.raises(DeniedError, match="set a secret") as caught:
        check_signature(None, BODY, [SECRET])
    assert caught.value.code == "SIGNATURE_MISSING"


def test_a_refusal_repeats_neither_secret_nor_signature() -> None:
    with pytest.raises(DeniedError) as caught:
        check_signature("sha256=hunter2", BODY, [SECRET])
    assert "hunter2" not in str(caught.value)
    assert SECRET not in str(caught.value)


# What it says


def payload(**changes: object) -> dict[str, object]:
    return {
        "ref": "refs/heads/main",
        "before": git_id(1),
        "after": git_id(2),
        "forced": False,
        "deleted": False,
        "repository": {"full_name": "octo/skills", "default_branch": "main"},
        "commits": [{"added": ["a/SKILL.md"], "modified": ["b/x.txt"], "removed": []}],
    } | changes


def parsed(**changes: object) -> Push | None:
    return parse_push(json.dumps(payload(**changes)).encode())


def test_a_push_says_where_from_and_to() -> None:
    assert parsed() == Push(
        repo="octo/skills",
        ref="refs/heads/main",
        before=git_id(1),
        after=git_id(2),
        forced=False,
        deleted=False,
        default_branch="main",
        changed_skill_files=1,
    )


def test_a_forced_push_and_a_deletion_are_told_apart() -> None:
    assert parsed(forced=True).forced
    assert parsed(deleted=True).deleted
    assert parsed(after=git_id(0)).deleted
    assert not parsed(before=git_id(0)).deleted
    assert not parsed(forced="true", deleted="no").forced


@pytest.mark.parametrize(
    "other",
    [
        {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}, "repository": {}},
        {"ref": "main", "ref_type": "branch", "repository": {}},
        {"action": "synchronize", "before": git_id(1), "after": git_id(2), "pull_request": {}},
        {"action": "completed", "workflow_run": {}},
        {},
    ],
    ids=["ping", "create or delete", "pull request", "workflow", "nothing"],
)
def test_any_other_event_is_told_by_its_shape_and_asks_for_nothing(other: dict[str, object]) -> None:
    push = parse_push(json.dumps(other).encode())
    assert push is None
    assert ignored_because(push, repo="octo/skills", branch="main") == "not a push; nothing to do"


@pytest.mark.parametrize(
    "changes",
    [
        {"ref": None},
        {"ref": 1},
        {"before": None},
        {"before": "abc"},
        {"before": git_id(1) + "\n"},
        {"after": git_id(2).upper()[:-1] + "F"},
        {"after": "a" * 64},
        {"after": ["a"]},
        {"repository": None},
        {"repository": "octo/skills"},
        {"repository": {}},
        {"repository": {"full_name": None}},
    ],
)
def test_a_push_that_lacks_what_a_push_has_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        parsed(**changes)
    assert caught.value.code == "PAYLOAD_INVALID"


def test_three_members_alone_have_the_shape_of_a_push_and_lack_the_rest() -> None:
    bare = {key: payload()[key] for key in ("ref", "before", "after")}
    with pytest.raises(InputError, match="repository"):
        parse_push(json.dumps(bare).encode())


def test_a_default_branch_that_is_no_text_is_none() -> None:
    assert parsed(repository={"full_name": "octo/skills", "default_branch": 7}).default_branch == ""


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff", b'{"ref":1,"ref":2}', b"payload=%7B%7D", b"[" * 100_000]
)
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InputError) as caught:
        parse_push(body)
    assert caught.value.code in {"JSON_INVALID", "JSON_TOO_DEEP"}


@pytest.mark.parametrize(
    ("commits", "count"),
    [
        (None, 0),
        ("x", 0),
        ([None, 1, "x", {}, {"added": None}, {"added": "SKILL.md"}, {"added": [1, None]}], 0),
        ([{"added": ["a/SKILL.md", "SKILL.md"]}, {"modified": ["a/SKILL.md"], "removed": ["b/skill.md"]}], 3),
        ([{"added": ["a/SKILL.md.bak", "xSKILL.md", "SKILL.md/x"]}], 0),
    ],
)
def test_changed_skill_files_are_counted_once_each_whatever_the_list_holds(commits: object, count: int) -> None:
    assert parsed(commits=commits).changed_skill_files == count


@pytest.mark.parametrize(
    ("changes", "branch", "reason"),
    [
        ({}, "main", None),
        ({}, None, None),
        ({"repository": {"full_name": "Octo/SKILLS", "default_branch": "main"}}, "main", None),
        ({"repository": {"full_name": "octo/skills", "default_branch": "trunk"}}, "main", None),
        ({"forced": True}, "main", None),
        ({"before": git_id(0)}, "main", None),
        ({"repository": {"full_name": "octo/other", "default_branch": "main"}}, "main", "another repository"),
        ({"repository": {"full_name": "evil/skills", "default_branch": "main"}}, "main", "another repository"),
        ({}, "dev", "another branch"),
        ({"repository": {"full_name": "octo/skills", "default_branch": "trunk"}}, None, "another branch"),
        ({"repository": {"full_name": "octo/skills"}}, None, "another branch"),
        ({"ref": "refs/tags/main"}, "main", "another branch"),
        ({"ref": "refs/heads/main2"}, "main", "another branch"),
        ({"ref": "refs/heads/x/main"}, "main", "another branch"),
        ({"ref": "main"}, "main", "another branch"),
        ({"ref": "refs/heads/Main"}, "main", "another branch"),
        ({"deleted": True}, "main", "the branch was deleted"),
        ({"after": git_id(0)}, None, "the branch was deleted"),
    ],
)
def test_only_a_push_to_our_branch_asks_for_a_sync(
    changes: dict[str, object], branch: str | None, reason: str | None
) -> None:
    found = ignored_because(parsed(**changes), repo="octo/skills", branch=branch)
    assert found == reason if reason is None else str(found).startswith(reason)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda below: st.lists(below, max_size=3), max_leaves=4
)


@given(st.dictionaries(st.sampled_from(sorted(payload())), JSON))
def test_no_payload_raises_anything_but_an_input_error(changes: dict[str, object]) -> None:
    with contextlib.suppress(InputError):
        parsed(**changes)


@pytest.mark.parametrize(("header", "number"), [("1", 1), ("292430182", 292430182), ("9" * 18, int("9" * 18))])
def test_the_hooks_number_is_read_from_its_header(header: str, number: int) -> None:
    assert hook_number(header) == number


@pytest.mark.parametrize("header", [None, "", "0", "-1", "1.5", "abc", "1\n", "٣", "9" * 19, "1" * 100_000])
def test_anything_else_is_no_hooks_number(header: str | None) -> None:
    assert hook_number(header) is None
