"""What GitHub's webhooks say of a push, made from a real bare repository; sending it is deliveries.py's business.

    for event in events_of(changes, Path("skills.git"), "octo/skills"):
        print(event.name, event.payload["ref"])

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads, and the payloads of npm's
`@octokit/webhooks-examples` where the page leaves a field's form open.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.repos import git_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.github.server import RefChange

NOTHING = "0" * 40
MAX_COMMITS = 2_048
MAX_TAGS = 3
MAX_BRANCHES = 5_000
_SITE = "https://github.com"
API = "https://api.github.com"
_FIELDS = ("%H", "%T", "%cI", "%an", "%ae", "%cn", "%ce", "%B")
_CHANGES = {"A": "added", "D": "removed"}
_USER_LINKS = {
    "followers": "followers",
    "following": "following{/other_user}",
    "gists": "gists{/gist_id}",
    "starred": "starred{/owner}{/repo}",
    "subscriptions": "subscriptions",
    "organizations": "orgs",
    "repos": "repos",
    "events": "events{/privacy}",
    "received_events": "received_events",
}
_REPOSITORY_LINKS = {
    **{name: name for name in ("forks", "teams", "hooks", "events", "tags", "languages", "stargazers", "contributors")},
    **{name: name for name in ("subscribers", "subscription", "merges", "downloads", "deployments")},
    **{name: f"git/{name}{{/sha}}" for name in ("blobs", "trees")},
    **{f"git_{name}": f"git/{name}{{/sha}}" for name in ("tags", "refs", "commits")},
    **{name: f"{name}{{/number}}" for name in ("comments", "issues", "pulls", "milestones")},
    "keys": "keys{/key_id}",
    "collaborators": "collaborators{/collaborator}",
    "issue_events": "issues/events{/number}",
    "assignees": "assignees{/user}",
    "branches": "branches{/branch}",
    "statuses": "statuses/{sha}",
    "commits": "commits{/sha}",
    "issue_comment": "issues/comments{/number}",
    "contents": "contents/{+path}",
    "compare": "compare/{base}...{head}",
    "archive": "{archive_format}{/ref}",
    "notifications": "notifications{?since,all,participating}",
    "labels": "labels{/name}",
    "releases": "releases{/id}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One webhook event: the value of `X-GitHub-Event`, and the payload before it is written as JSON."""

    name: str
    payload: dict[str, object] = field(repr=False)


def events_of(changes: Sequence[RefChange], bare: Path, full_name: str, *, now: datetime | None = None) -> list[Event]:
    """Make the events of one push, in the order of its refs: `create` or `delete` where it applies, then `push`.

    Args:
        changes: How the refs moved; the repository already stands as it is after the push.
        bare: The repository.
        full_name: `<owner>/<name>`.
        now: When the push happened, in UTC; None means now.

    Returns:
        The events. Refs that are neither branch nor tag have none; nor have more than three tags, or more than 5,000
        branches, that are pushed at once.
    """
    branches = [change for change in changes if change.ref.startswith("refs/heads/")]
    tags = [change for change in changes if change.ref.startswith("refs/tags/")]
    said = (branches if len(branches) <= MAX_BRANCHES else []) + (tags if len(tags) <= MAX_TAGS else [])
    if not said:
        return []
    place = repository(bare, full_name, now=now or datetime.now(UTC))
    others = _branches(bare) - {(change.ref, change.after) for change in changes}
    others |= {(change.ref, change.before) for change in branches if change.before != NOTHING}
    return [event for change in said for event in _events_of_ref(change, bare, place, others)]


def ping(hook: dict[str, object], bare: Path, full_name: str) -> Event:
    """Make the event that GitHub sends when a hook is new, or when somebody asks for it.

    Args:
        hook: The hook as the REST API shows it.
        bare: The repository.
        full_name: `<owner>/<name>`.
    """
    place = repository(bare, full_name, now=datetime.now(UTC))
    payload = {
        "zen": "Anything added dilutes everything else.",
        "hook_id": hook["id"],
        "hook": hook,
        "repository": place,
        "sender": place["owner"],
    }
    return Event(name="ping", payload=payload)


def repository_id(full_name: str) -> int:
    """Return a number for the repository that is the same on every machine."""
    return int.from_bytes(hashlib.sha256(full_name.casefold().encode()).digest()[:4])


def repository(bare: Path, full_name: str, *, now: datetime) -> dict[str, object]:
    """Describe the repository as every event does."""
    owner, _, name = full_name.partition("/")
    api, site = f"{API}/repos/{full_name}", f"{_SITE}/{full_name}"
    links = {f"{key}_url": f"{api}/{path}" for key, path in _REPOSITORY_LINKS.items()}
    counts = ("forks", "open_issues", "watchers", "size", "stargazers_count", "watchers_count", "forks_count")
    return {
        "id": repository_id(full_name),
        "node_id": f"R_{repository_id(full_name)}",
        "name": name,
        "full_name": full_name,
        "owner": user(owner),
        "html_url": site,
        "url": api,
        **links,
        "git_url": f"git://github.com/{full_name}.git",
        "ssh_url": f"git@github.com:{full_name}.git",
        "clone_url": f"{site}.git",
        "svn_url": site,
        **dict.fromkeys(("created_at", "updated_at", "pushed_at"), f"{now:%Y-%m-%dT%H:%M:%SZ}"),
        **dict.fromkeys((*counts, "open_issues_count"), 0),
        **dict.fromkeys(("description", "homepage", "language", "license", "mirror_url")),
        **dict.fromkeys(
            ("private", "fork", "archived", "disabled", "is_template", "web_commit_signoff_required"), False
        ),
        **dict.fromkeys(("has_issues", "has_projects", "has_downloads", "has_wiki", "has_pages"), False),
        "topics": [],
        "visibility": "public",
        "custom_properties": {},
        "default_branch": _git(bare, "symbolic-ref", "--short", "HEAD").strip(),
    }


def user(login: str) -> dict[str, object]:
    """Describe an account as every event does."""
    api = f"{API}/users/{login}"
    return {
        "login": login,
        "id": repository_id(login),
        "node_id": f"U_{repository_id(login)}",
        "avatar_url": f"https://avatars.githubusercontent.com/{login}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{_SITE}/{login}",
        **{f"{key}_url": f"{api}/{path}" for key, path in _USER_LINKS.items()},
        "type": "User",
        "site_admin": False,
    }


def _events_of_ref(
    change: RefChange, bare: Path, place: dict[str, object], others: set[tuple[str, str]]
) -> Iterable[Event]:
    kind, _, short = change.ref.removeprefix("refs/").partition("/")
    known = {"ref": short, "ref_type": "branch" if kind == "heads" else "tag", "pusher_type": "user"}
    place_and_sender = {"repository": place, "sender": place["owner"]}
    if change.before == NOTHING:
        branch = {"master_branch": place["default_branch"], "description": None}
        yield Event(name="create", payload={**known, **branch, **place_and_sender})
    if change.after == NOTHING:
        yield Event(name="delete", payload={**known, **place_and_sender})
    yield Event(name="push", payload=_push(change, bare, place, others))


def _push(change: RefChange, bare: Path, place: dict[str, object], others: set[tuple[str, str]]) -> dict[str, object]:
    site = str(place["html_url"])
    created, deleted = change.before == NOTHING, change.after == NOTHING
    held = sorted({commit for ref, commit in others if ref != change.ref})
    commits = [] if deleted or change.ref.startswith("refs/tags/") else _pushed(change, bare, held, site)
    head = commits or ([] if deleted else _commits(bare, [change.after], site))
    owner = user(str(place["full_name"]).partition("/")[0])
    # A push writes two dates as numbers, the site's address as `url`, and repeats two fields under older names.
    dates = dict.fromkeys(("created_at", "pushed_at"), int(datetime.fromisoformat(str(place["pushed_at"])).timestamp()))
    older = {"url": site, "stargazers": 0, "master_branch": place["default_branch"]}
    pusher = {"name": owner["login"], "email": f"{owner['login']}@users.noreply.github.com"}
    return {
        "ref": change.ref,
        "before": change.before,
        "after": change.after,
        "repository": {**place, **dates, **older, "owner": {**owner, **pusher}},
        "pusher": pusher,
        "sender": owner,
        "created": created,
        "deleted": deleted,
        "forced": change.forced,
        "base_ref": next((ref for ref, commit in sorted(others) if created and commit == change.after), None),
        "compare": f"{site}/{_compare(change, commits)}",
        "commits": commits,
        "head_commit": head[-1] if head else None,
    }


def _compare(change: RefChange, commits: list[dict[str, object]]) -> str:
    if change.before != NOTHING:
        return f"compare/{change.before[:12]}...{change.after[:12]}"
    if not commits:
        return f"compare/{change.ref.split('/', 2)[2]}"
    if len(commits) == 1:
        return f"commit/{change.after}"
    return f"compare/{str(commits[0]['id'])[:12]}^...{change.after[:12]}"


def _pushed(change: RefChange, bare: Path, held: list[str], site: str) -> list[dict[str, object]]:
    """The commits that the branch gained, oldest first; `distinct` are those that no other branch had."""
    known = held if change.before == NOTHING else [change.before]
    newest = ("rev-list", "--topo-order", f"--max-count={MAX_COMMITS}", "--stdin")
    ids = _git(bare, *newest, data=_lines([change.after, *(f"^{commit}" for commit in known)])).split()
    distinct = set(_git(bare, *newest, data=_lines([change.after, *(f"^{item}" for item in {*known, *held})])).split())
    return [{**commit, "distinct": commit["id"] in distinct} for commit in _commits(bare, ids[::-1], site)]


def _commits(bare: Path, ids: Sequence[str], site: str) -> list[dict[str, object]]:
    """Describe these commits, in this order; what is no commit is left out."""
    if not ids:
        return []
    form = f"--format={'%n'.join(_FIELDS)}"
    # By standard input: 2,048 ids are more than a command line holds on every machine.
    text = _git(bare, "log", "--no-walk=unsorted", "--stdin", "-z", "--no-patch", form, data=_lines(ids))
    found = [record.split("\n", len(_FIELDS) - 1) for record in text.split("\0") if record]
    files = _files(bare, [id_ for id_, *_ in found])
    return [
        {
            "id": id_,
            "tree_id": tree,
            "distinct": True,
            "message": message.rstrip("\n"),
            "timestamp": moment.replace("+00:00", "Z"),
            "url": f"{site}/commit/{id_}",
            "author": {"name": author, "email": author_email},
            "committer": {"name": committer, "email": committer_email},
            **files[id_],
        }
        for id_, tree, moment, author, author_email, committer, committer_email, message in found
    ]


def _files(bare: Path, ids: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Which files each commit changed against its first parent."""
    if not ids:
        return {}
    found: dict[str, dict[str, list[str]]] = {id_: {"added": [], "removed": [], "modified": []} for id_ in ids}
    form = ("--format=%x00%H", "--diff-merges=first-parent", "--no-renames", "--name-status", "-r", "--root", "-z")
    text = _git(bare, "log", "--no-walk=unsorted", "--stdin", *form, data=_lines(ids))
    words = iter(text.split("\0"))
    for word in words:
        if word in found:
            current = found[word]
        elif kind := word.strip():
            current[_CHANGES.get(kind, "modified")].append(next(words))
    return found


def _branches(bare: Path) -> set[tuple[str, str]]:
    lines = _git(bare, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
    return {(ref, commit) for ref, _, commit in (line.partition(" ") for line in lines)}


def _git(bare: Path, *args: str, data: bytes = b"") -> str:
    command = ["git", "-c", "core.quotePath=false", "--git-dir", str(bare), *args]
    done = subprocess.run(command, env=git_environment(), input=data, capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


def _lines(items: Iterable[str]) -> bytes:
    return "".join(f"{item}\n" for item in items).encode()
