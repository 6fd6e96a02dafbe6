"""What a local installation consists of: its folders, which repository it serves, and the environment of its processes."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from shared.cli.keys import load_keys
from shared.cli.local_trust import local_anchor
from shared.cli.sample import make_sample
from shared.cli.trust_home import Line
from shared.errors import ConfigError

_GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")
_NEVER_INHERITED = frozenset({"SOURCE_URL", "GITHUB_API_URL", "GITHUB_BRANCH", "GITHUB_APP_ID", "GITHUB_APP_KEY"})
_ODD = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A local installation.

    `source` is a path or URL; `branch` may be empty for the default branch; `github` says whether a stand-in for GitHub
    stands between the repository and the functions; `anchor` is the pinned trust.
    """

    data: Path
    source: str
    branch: str
    owner: str
    name: str
    port: int
    keys: dict[str, str]
    anchor: str
    github: bool = False

    @property
    def url(self) -> str:
        """Where the functions answer."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def github_url(self) -> str:
        """Where the stand-in for GitHub answers."""
        return f"http://127.0.0.1:{self.port + 1}"

    @property
    def skills(self) -> Path:
        """The folder that a gateway would watch."""
        return self.data / "skills"

    def environment(self) -> dict[str, str]:
        """Return the environment of all processes; nothing of the caller's own settings leaks in."""
        settings = {
            "STORE_URI": f"sqlite://{self.data / 'store.db'}",
            **self._upstream(),
            "GITHUB_OWNER": self.owner,
            "GITHUB_REPO": self.name,
            "POLLING_INTERVAL_MIN": "0.5",
            "SKILLS_DIR": str(self.skills),
            "BACKUP_DIR": str(self.data / "backups" / "skills"),
            "RELEASE_URL": self.url,
            "PULL_INTERVAL_SECONDS": "0.5",
            "TRUST_ANCHOR": self.anchor,
        }
        if self.branch:
            settings["GITHUB_BRANCH"] = self.branch
        ours = {*settings, *self.keys, *_NEVER_INHERITED}
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ours and name.removesuffix("_FILE") not in ours
        }
        return {**inherited, **settings, **self.keys, "PYTHONUNBUFFERED": "1"}

    def _upstream(self) -> dict[str, str]:
        return {"GITHUB_API_URL": f"{self.github_url}/api/v3"} if self.github else {"SOURCE_URL": self.source}


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What another command needs to know of a local installation: what it serves, and where it answers.

    `github` is the address of the repository at the stand-in for GitHub, empty where there is none.
    """

    source: str
    branch: str
    repo: str
    url: str
    github: str
    keys: dict[str, str]


def prepare(*, repo: str, branch: str, port: int, data: Path, github: bool = False) -> Local:
    """Make folders, keys and, where no repository is named, the sample repository.

    Raises:
        ConfigError: `DATA_IN_USE` when the data folder belongs to another repository or branch, `REPO_UNKNOWN`.
    """
    data.mkdir(parents=True, exist_ok=True)
    if not repo:
        make_sample(data / "sample-repo")
    source, owner, name = _identify(repo or str(data / "sample-repo"))
    if github and "://" in source:
        raise ConfigError(
            "REPO_REMOTE", f"{source} is remote; the stand-in for GitHub serves a repository on this machine"
        )
    keys = load_keys(data / "keys.env")
    ref = f"refs/heads/{branch}" if branch else "HEAD"
    local = Local(
        data=data,
        source=source,
        branch=branch,
        owner=owner,
        name=name,
        port=port,
        keys=keys,
        anchor=local_anchor(data, keys, Line(channel="prod", repo=f"{owner}/{name}", ref=ref)),
        github=github,
    )
    _claim(data / "run.json", {"source": source, "branch": branch, "repo": f"{owner}/{name}"}, local)
    return local


def reopen(data: Path) -> Running:
    """Return what is known of an installation that was prepared before.

    Raises:
        ConfigError: `NOT_PREPARED`.
    """
    try:
        notes = _notes(data / "run.json")
        return Running(
            source=notes["source"],
            branch=notes["branch"],
            repo=notes["repo"],
            url=notes["url"],
            github=notes.get("github", ""),
            keys=load_keys(data / "keys.env"),
        )
    except (OSError, KeyError):
        raise ConfigError("NOT_PREPARED", f"nothing runs on {data}; start `make run` first") from None


def _identify(repo: str) -> tuple[str, str, str]:
    on_github = _GITHUB.fullmatch(repo)
    if on_github:
        return repo, on_github[1], on_github[2]
    if "://" in repo:
        return repo, "local", _ODD.sub("-", repo.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")) or "repository"
    path = Path(repo).expanduser().resolve()
    if not path.is_dir():
        raise ConfigError("REPO_UNKNOWN", f"{path} is no folder; REPO is a path or URL of a git repository")
    return str(path), "local", _ODD.sub("-", path.name.removesuffix(".git")) or "repository"


def _notes(path: Path) -> dict[str, str]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ConfigError("NOT_PREPARED", f"{path} cannot be read; remove it") from None
    return {str(key): str(value) for key, value in held.items()} if isinstance(held, dict) else {}


def _claim(path: Path, wanted: dict[str, str], local: Local) -> None:
    # A store holds the deployments of one repository; serving another from it would be refused by every check there is.
    if path.exists():
        held = _notes(path)
        if {key: held.get(key) for key in wanted} != wanted:
            raise ConfigError(
                "DATA_IN_USE",
                f"{path.parent} serves {held.get('source')}; choose another folder with DATA=, or remove it",
            )
    github = f"{local.github_url}/{local.owner}/{local.name}.git" if local.github else ""
    path.write_text(json.dumps({**wanted, "url": local.url, "github": github}), encoding="utf-8")
