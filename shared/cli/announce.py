"""`push`: bring the local repository's branch head to a running `run`.

Announced by a signed webhook as GitHub would, or, where a stand-in for GitHub runs, pushed there: it announces it itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from shared.cli.local import reopen
from shared.cli.sample import git
from shared.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from shared.cli.local import Running
    from shared.cli.output import Output

_TIMEOUT_SECONDS = 15.0
_OK = 300


def announce(data: Path, output: Output) -> int:
    """Push to the stand-in for GitHub, or send the push webhook, and print the answer.

    Args:
        data: The data folder of the running installation.
        output: Where it is printed.

    Returns:
        0 when it was accepted, 1 when it was not.

    Raises:
        ConfigError: nothing runs there, or the repository is not on this machine.
        UnavailableError: `NOT_RUNNING`.
    """
    running = reopen(data)
    if "://" in running.source:
        raise ConfigError(
            "REPO_REMOTE", f"{running.source} is remote; its own webhook announces pushes, and the timer finds them"
        )
    if running.github:
        return _push(running, output)
    body = json.dumps(push_payload(Path(running.source), running.branch, running.repo)).encode()
    try:
        answer = httpx.post(
            f"{running.url}/webhook/github",
            content=body,
            headers=signed_headers(running.keys["GITHUB_WEBHOOK_SECRET"], body),
            timeout=_TIMEOUT_SECONDS,
        )
    except httpx.HTTPError as error:
        raise UnavailableError("NOT_RUNNING", f"{running.url} does not answer ({type(error).__name__})") from None
    output.result(
        {"status": answer.status_code, "answer": _document(answer)}, f"{answer.status_code} {answer.text.strip()}"
    )
    return 0 if answer.status_code < _OK else 1


def _push(running: Running, output: Output) -> int:
    branch = running.branch or git(Path(running.source), "symbolic-ref", "--short", "HEAD")
    told = git(Path(running.source), "push", "--porcelain", running.github, f"HEAD:refs/heads/{branch}")
    output.result({"pushed": branch, "told": told.splitlines()}, told)
    return 0


def _document(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return answer.text.strip()


def push_payload(path: Path, branch: str, repo: str) -> dict[str, object]:
    """Make the push payload that announces a branch head; the fields that are read, as GitHub names them.

    Args:
        path: The repository.
        branch: Its branch; empty for the one that is checked out.
        repo: `<owner>/<name>`.
    """
    name = branch or git(path, "symbolic-ref", "--short", "HEAD")
    after = git(path, "rev-parse", f"refs/heads/{name}")
    parents = git(path, "rev-list", "--parents", "-n", "1", after).split()[1:]
    changed = git(path, "show", "--format=", "--name-only", after).splitlines()
    return {
        "ref": f"refs/heads/{name}",
        "before": parents[0] if parents else "0" * 40,
        "after": after,
        "created": not parents,
        "deleted": False,
        "forced": False,
        "repository": {"full_name": repo, "default_branch": name},
        "commits": [{"id": after, "added": [], "removed": [], "modified": changed}],
    }


def signed_headers(secret: str, body: bytes) -> dict[str, str]:
    """Make the headers of a webhook delivery, signed with the secret."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={signature}",
    }
