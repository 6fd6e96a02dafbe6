"""Settings: the only place that reads the environment, and the files that `<NAME>_FILE` points to.

Settings are read afresh for every call, so that a rotated secret needs no restart. README's table is made from `FIELDS`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.core.rules import ValidationPolicy, VersionPolicy
from shared.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_SECRET_FILE_BYTES = 64 * 1024
MAX_SECRETS = 2
LEAST_SECRET_CHARS = 32


def _text(value: str) -> str:
    return value


def _positive_int(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise ValueError("a whole number of at least 1")
    return int(value)


def _positive_seconds(value: str) -> float:
    if not 0 < float(value) < float("inf"):
        raise ValueError("a number above 0")
    return float(value)


def _minutes(value: str) -> float:
    return 60 * _positive_seconds(value)


def _secrets(value: str) -> tuple[str, ...]:
    found = tuple(line.strip() for line in value.splitlines() if line.strip())
    if len(found) > MAX_SECRETS:
        raise ValueError(f"at most {MAX_SECRETS} values, one a line, newest first")
    if any(len(line) < LEAST_SECRET_CHARS or any(char.isspace() for char in line) for line in found):
        raise ValueError(f"values of at least {LEAST_SECRET_CHARS} characters without blanks inside")
    return found


def _lines(value: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in value.splitlines() if line.strip())


def _layouts(value: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in value.split(","))
    if not found or any(part not in {"tree", "flat"} for part in found):
        raise ValueError("tree, flat, or both with a comma between")
    return found


def _poll_auth(value: str) -> str:
    if value not in {"api_key", "iam"}:
        raise ValueError("api_key or iam")
    return value


def _root(value: str) -> str:
    root = value.strip().strip("/")
    if any(part in {"", ".", ".."} for part in root.split("/")) and root:
        raise ValueError("a folder of the repository, such as skills")
    return root


def _validation(value: str) -> ValidationPolicy:
    return ValidationPolicy(value)


def _version(value: str) -> VersionPolicy:
    return VersionPolicy(value)


def _setting(name: str, parse: Callable[[str], Any], default: str | None, side: str, what: str) -> Any:  # noqa: ANN401 - dataclass fields are typed where they are declared
    meta = {"name": name, "parse": parse, "default": default, "side": side, "what": what}
    return dataclass_field(metadata=meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. A setting without a default is None until it is given; `need` asks for it."""

    store_uri: str | None = _setting(
        "STORE_URI", _text, None, "cloud", "Where objects are kept: `sqlite:///path/to/file`."
    )
    channel: str = _setting(
        "CHANNEL", _text, "prod", "cloud", "Name of this line of deployments; pointers of another are refused."
    )
    github_owner: str = _setting("GITHUB_OWNER", _text, "Danservfinn", "cloud", "Owner of the repository.")
    github_repo: str = _setting("GITHUB_REPO", _text, "kurultai-skills", "cloud", "Name of the repository.")
    github_branch: str | None = _setting(
        "GITHUB_BRANCH", _text, None, "cloud", "Branch to follow; unset, the repository's default branch."
    )
    github_token: str | None = _setting(
        "GITHUB_TOKEN", str.strip, None, "cloud", "Token with Contents: read; unset for a public repository."
    )
    source_url: str | None = _setting(
        "SOURCE_URL", _text, None, "cloud", "Any git repository, path or URL; unset, the one on GitHub named above."
    )
    skills_root: str = _setting(
        "SKILLS_ROOT", _root, "", "cloud", "Folder of the repository to publish; unset, all of it is searched."
    )
    webhook_secrets: tuple[str, ...] = _setting(
        "GITHUB_WEBHOOK_SECRET",
        _secrets,
        "",
        "cloud",
        "The webhook's secret; two lines, newest first, while it is rotated.",
    )
    api_keys: tuple[str, ...] = _setting(
        "MANUAL_SYNC_API_KEY", _secrets, "", "cloud", "The operators' key (`x-api-key`); two lines while it is rotated."
    )
    poll_auth: str = _setting(
        "POLL_AUTH",
        _poll_auth,
        "api_key",
        "cloud",
        "Who may poll: `api_key` asks for `x-api-key`; `iam` when Cloud IAM alone decides who reaches the function.",
    )
    signing_key: str | None = _setting(
        "SIGNING_KEY", str.strip, None, "cloud", "Ed25519 seed, 32 bytes as base64, that signs pointers."
    )
    puller_key_hashes: tuple[str, ...] = _setting(
        "PULLER_KEY_HASHES", _lines, "", "cloud", "One line a key: `<puller id>:<SHA-256 of its PULLER_KEY, hex>`."
    )
    polling_interval_seconds: float = _setting(
        "POLLING_INTERVAL_MIN",
        _minutes,
        "5",
        "cloud",
        "Minutes between the scheduler's polls; staleness is measured by it.",
    )
    lock_ttl_seconds: float = _setting(
        "DEPLOYMENT_LOCK_TTL", _positive_seconds, "300", "cloud", "Seconds that one poll may take."
    )
    max_skill_file_bytes: int = _setting(
        "MAX_SKILL_SIZE_BYTES", _positive_int, "102400", "cloud", "Largest SKILL.md, in bytes."
    )
    validation_policy: ValidationPolicy = _setting(
        "VALIDATION_POLICY",
        _validation,
        "per_skill",
        "cloud",
        "`per_skill`: a bad skill is withheld alone; `all_or_nothing`: with all that its push changed.",
    )
    version_policy: VersionPolicy = _setting(
        "VERSION_POLICY",
        _version,
        "derived",
        "cloud",
        "Where versions come from: `strict` frontmatter only; `declared` also skill.yaml; `derived` else from the content.",
    )
    skills_dir: Path = _setting("SKILLS_DIR", Path, "/data/skills", "volume", "The folder that the gateway watches.")
    backup_dir: Path = _setting(
        "BACKUP_DIR", Path, "/data/backups/skills", "volume", "Where foreign files go that stand in a skill's way."
    )
    release_url: str | None = _setting("RELEASE_URL", _text, None, "volume", "Base URL of the release function.")
    puller_id: str | None = _setting("PULLER_ID", _text, None, "volume", "This puller's name, a slug.")
    puller_key: str | None = _setting(
        "PULLER_KEY", str.strip, None, "volume", "This puller's own key, sent as bearer token."
    )
    trust_anchor: str | None = _setting(
        "TRUST_ANCHOR",
        str.strip,
        None,
        "volume",
        "The pinned trust, one line of JSON: whose signature counts, for what.",
    )
    skills_layout: tuple[str, ...] = _setting(
        "SKILLS_LAYOUT",
        _layouts,
        "tree,flat",
        "volume",
        "Layouts to write: `tree` (`<id>/SKILL.md …`), `flat` (`<id>.md`).",
    )
    pull_interval_seconds: float = _setting(
        "PULL_INTERVAL_SECONDS", _positive_seconds, "2", "volume", "Seconds between two looks at the pointer."
    )

    @property
    def repo(self) -> str:
        """`<owner>/<name>`, as webhooks and pointers name the repository."""
        return f"{self.github_owner}/{self.github_repo}"

    @property
    def ref(self) -> str:
        """The ref that pointers name: the branch, or `HEAD` for the repository's default branch."""
        return f"refs/heads/{self.github_branch}" if self.github_branch else "HEAD"

    @property
    def remote(self) -> str:
        """Where the repository is read over the git protocol."""
        return self.source_url or f"https://github.com/{self.repo}.git"

    def need(self, *names: str) -> None:
        """Make sure that these settings (by environment name) are given.

        Raises:
            ConfigError: `CONFIG_MISSING`, naming every one that is not.
        """
        values = {field.metadata["name"]: getattr(self, field.name) for field in fields(self)}
        missing = [name for name in names if values[name] in (None, ())]
        if missing:
            raise ConfigError("CONFIG_MISSING", f"not set: {', '.join(missing)} (or the same with _FILE)")


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read all settings.

    Args:
        environment: Usually `os.environ`.

    Raises:
        ConfigError: `CONFIG_INVALID`, naming every setting that is wrong and what it should be; never its value.
    """
    values: dict[str, object] = {}
    faults: list[str] = []
    for field in fields(Settings):
        name, parse = field.metadata["name"], field.metadata["parse"]
        try:
            text = _raw(environment, name)
            text = field.metadata["default"] if text is None else text
            values[field.name] = None if text is None else parse(text)
        except (ValueError, OSError) as error:
            faults.append(f"{name}: {error.strerror if isinstance(error, OSError) else _expected(field.type, error)}")
    if faults:
        raise ConfigError("CONFIG_INVALID", "; ".join(faults))
    return Settings(**values)  # type: ignore[arg-type] # each field's own parser made its value


def current_settings() -> Settings:
    """Read all settings from this process's environment, as they are now."""
    return load_settings(os.environ)


def _raw(environment: Mapping[str, str], name: str) -> str | None:
    path = environment.get(f"{name}_FILE")
    if not path:
        return environment.get(name, "").strip() or None
    with Path(path).open("rb") as stream:
        data = stream.read(MAX_SECRET_FILE_BYTES + 1)
    if len(data) > MAX_SECRET_FILE_BYTES:
        raise ValueError(f"a file of at most {MAX_SECRET_FILE_BYTES} bytes")
    try:
        return data.decode().strip() or None
    except UnicodeDecodeError:
        raise ValueError("a file in UTF-8") from None


def _expected(kind: object, error: ValueError) -> str:
    # An enum's own message repeats the value; ours says what was expected.
    text = str(error)
    if " is not a valid " in text or "could not convert" in text:
        return {"ValidationPolicy": "per_skill or all_or_nothing", "VersionPolicy": "strict, declared or derived"}.get(
            str(kind), "a number"
        )
    return f"expected {text}"


def settings_table() -> str:
    """Return README's table of settings, in Markdown."""
    rows = ["| name | default | side | what it is |", "|---|---|---|---|"]
    for field in fields(Settings):
        meta = field.metadata
        default = "" if meta["default"] in (None, "") else f"`{meta['default']}`"
        rows.append(f"| `{meta['name']}` | {default} | {meta['side']} | {meta['what']} |")
    return "\n".join(rows)
