"""What a GitHub webhook call is: first whether GitHub sent it, then what it says. No word of it is content.

Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING

from shared.core.canonical import member, parse_object
from shared.core.discover import SKILL_FILE_NAMES
from shared.errors import DeniedError, InputError
from shared.model import CommitSha, Push

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BODY_BYTES = 25 * 1024 * 1024
"""GitHub sends no larger payload."""
_SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")
_SHA = re.compile(r"[0-9a-f]{40}")
_HOOK = re.compile(r"[1-9][0-9]{0,17}")
_NO_COMMIT = "0" * 40


def check_signature(header: str | None, body: bytes, secrets: Sequence[str]) -> str:
    """Prove that the sender knows one of the secrets, and return that one.

    Every secret is tried, whichever holds, so that the time tells nothing. SHA-1 is never accepted, whatever the prefix.

    Args:
        header: The value of `X-Hub-Signature-256`.
        body: The raw body.
        secrets: The current secrets, newest first; without any, nobody can be proved.

    Raises:
        DeniedError: `SIGNATURE_MISSING` or `SIGNATURE_INVALID`.
    """
    if header is None:
        raise DeniedError(
            "SIGNATURE_MISSING", "the header X-Hub-Signature-256 is missing; set a secret for the webhook"
        )
    match = _SIGNATURE.fullmatch(header)
    claimed = bytes.fromhex(match[1]) if match else b""
    held = [hmac.compare_digest(hmac.digest(key.encode(), body, hashlib.sha256), claimed) for key in secrets]
    if not any(held):
        raise DeniedError("SIGNATURE_INVALID", "X-Hub-Signature-256 does not match the body under any current secret")
    return secrets[held.index(True)]


def parse_push(body: bytes) -> Push | None:
    """Read a payload by its shape, not by the event header, which the signature does not cover.

    Returns:
        The push, or None when the payload is of some other event.

    Raises:
        InputError: `JSON_INVALID`, `JSON_TOO_DEEP`, or `PAYLOAD_INVALID` for a push that lacks what a push has.
    """
    payload = parse_object(body, what="the webhook's body")
    if not {"ref", "before", "after"} <= payload.keys():
        return None
    try:
        repository = member(payload, "repository", dict, what="the push")
        return Push(
            repo=member(repository, "full_name", str, what="the push's repository"),
            ref=member(payload, "ref", str, what="the push"),
            before=_sha(payload, "before"),
            after=_sha(payload, "after"),
            forced=payload.get("forced") is True,
            deleted=payload.get("deleted") is True or payload["after"] == _NO_COMMIT,
            default_branch=_text(repository.get("default_branch")),
            changed_skill_files=_count_skill_files(payload.get("commits")),
        )
    except InputError as error:
        raise InputError("PAYLOAD_INVALID", error.message) from None


def is_ping(body: bytes) -> bool:
    """Whether a genuine call, which is no push, is the ping of a hook: GitHub sends one when a hook is made, and when asked to.

    A hook has a number from 1 on; a ping of our own names hook 0, and proves nothing about GitHub.
    """
    payload = parse_object(body, what="the webhook's body")
    number = payload.get("hook_id")
    return isinstance(payload.get("zen"), str) and type(number) is int and number > 0


def hook_number(header: str | None) -> int | None:
    """Read which of the repository's hooks made the call; None when that cannot be told.

    The signature does not cover it, so it may only serve to look at that hook's own list of deliveries.

    Args:
        header: The value of `X-GitHub-Hook-ID`.
    """
    return int(header) if header is not None and _HOOK.fullmatch(header) else None


def ignored_because(push: Push | None, *, repo: str, branch: str | None) -> str | None:
    """Say why a genuine webhook call asks for nothing; None when it asks for a sync.

    Args:
        push: The push, None for any other event.
        repo: `<owner>/<name>` as configured.
        branch: The configured branch; None means the repository's default branch.
    """
    if push is None:
        return "not a push; nothing to do"
    if push.repo.casefold() != repo.casefold():
        return "another repository; nothing to do"
    if push.ref != f"refs/heads/{branch or push.default_branch}":
        return "another branch or a tag; nothing to do"
    if push.deleted:
        return "the branch was deleted; what is live stays"
    return None


def _sha(payload: dict[str, object], key: str) -> CommitSha:
    text = member(payload, key, str, what="the push")
    if _SHA.fullmatch(text) is None:
        raise InputError("PAYLOAD_INVALID", f"the push's {key!r} must be 40 hex digits")
    return CommitSha(text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count_skill_files(commits: object) -> int:
    # For the log line only: `commits` is a courtesy of the sender and is cut at 2,048.
    paths: set[str] = set()
    for commit in commits if isinstance(commits, list) else []:
        for key in ("added", "modified", "removed"):
            changed = commit.get(key) if isinstance(commit, dict) else None
            paths.update(item for item in changed or [] if isinstance(item, str)) if isinstance(changed, list) else None
    return sum(path.rsplit("/", 1)[-1] in SKILL_FILE_NAMES for path in paths)
