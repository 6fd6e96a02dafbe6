"""Settings: the only place that reads the environment, and the files that `<NAME>_FILE` points to.

Settings are read afresh for every call, so that a rotated secret needs no restart. README's table is made from `FIELDS`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import ConfigError
from shared.setting_values import (
    alert_urls,
    drift,
    layouts,
    lines,
    minutes,
    pem,
    poll_auth,
    positive_int,
    positive_seconds,
    root,
    secrets,
    text,
    validation,
    version,
    web_urls,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.core.rules import ValidationPolicy, VersionPolicy

MAX_SECRET_FILE_BYTES = 64 * 1024
_LOADER_NAMES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL")


def _setting(name: str, parse: Callable[[str], Any], default: str | None, side: str, what: str) -> Any:  # noqa: ANN401 - dataclass fields are typed where they are declared
    meta = {"name": name, "parse": parse, "default": default, "side": side, "what": what}
    return dataclass_field(metadata=meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. A setting without a default is None until it is given; `need` asks for it."""

    store_uri: str | None = _setting(
        "STORE_URI", text, None, "cloud", "Where objects are kept: `gs://bucket/prefix` or `sqlite:///path/to/file`."
    )
    channel: str = _setting(
        "CHANNEL", text, "prod", "cloud", "Name of this line of deployments; pointers of another are refused."
    )
    github_owner: str = _setting("GITHUB_OWNER", text, "Danservfinn", "cloud", "Owner of the repository.")
    github_repo: str = _setting("GITHUB_REPO", text, "kurultai-skills", "cloud", "Name of the repository.")
    github_branch: str | None = _setting(
        "GITHUB_BRANCH", text, None, "cloud", "Branch to follow; unset, the repository's default branch."
    )
    github_token: str | None = _setting(
        "GITHUB_TOKEN",
        str.strip,
        None,
        "cloud",
        "Token with Contents: read (and Webhooks: read, to see lost webhooks); unset for a public repository.",
    )
    github_api_url: str = _setting(
        "GITHUB_API_URL",
        text,
        "https://api.github.com",
        "cloud",
        "GitHub's REST API; on an Enterprise Server `https://HOST/api/v3`.",
    )
    github_app_id: str | None = _setting(
        "GITHUB_APP_ID",
        str.strip,
        None,
        "cloud",
        "A GitHub App's id: its installation tokens take GITHUB_TOKEN's place.",
    )
    github_app_key: str | None = _setting(
        "GITHUB_APP_KEY", pem, None, "cloud", "That App's private key, PEM; in one line, `\\n` may stand for line ends."
    )
    source_url: str | None = _setting(
        "SOURCE_URL",
        text,
        None,
        "cloud",
        "Any git repository, path or URL, read over the git protocol; unset, the one on GitHub named above.",
    )
    skills_root: str = _setting(
        "SKILLS_ROOT", root, "", "cloud", "Folder of the repository to publish; unset, all of it is searched."
    )
    webhook_secrets: tuple[str, ...] = _setting(
        "GITHUB_WEBHOOK_SECRET",
        secrets,
        "",
        "cloud",
        "The webhook's secret; two lines, newest first, while it is rotated.",
    )
    api_keys: tuple[str, ...] = _setting(
        "MANUAL_SYNC_API_KEY", secrets, "", "cloud", "The operators' key (`x-api-key`); two lines while it is rotated."
    )
    poll_auth: str = _setting(
        "POLL_AUTH",
        poll_auth,
        "api_key",
        "cloud",
        "Who may poll: `api_key` asks for `x-api-key`; `iam` when Cloud IAM alone decides who reaches the function.",
    )
    signing_key: str | None = _setting(
        "SIGNING_KEY", str.strip, None, "cloud", "Ed25519 seed, 32 bytes as base64, that signs pointers."
    )
    puller_key_hashes: tuple[str, ...] = _setting(
        "PULLER_KEY_HASHES", lines, "", "cloud", "One line a key: `<puller id>:<SHA-256 of its PULLER_KEY, hex>`."
    )
    nudge_urls: tuple[str, ...] = _setting(
        "NUDGE_URLS",
        web_urls,
        "",
        "cloud",
        "Where pullers take the news of a deployment, with commas or one a line; unset, they find it at their next look.",
    )
    alert_urls: tuple[str, ...] = _setting(
        "ALERT_URLS", alert_urls, "", "cloud", "Where alerts go: apprise URLs, one a line or with commas; a secret."
    )
    polling_interval_seconds: float = _setting(
        "POLLING_INTERVAL_MIN",
        minutes,
        "5",
        "cloud",
        "Minutes between the scheduler's polls; staleness is measured by it.",
    )
    lock_ttl_seconds: float = _setting(
        "DEPLOYMENT_LOCK_TTL", positive_seconds, "300", "cloud", "Seconds that one poll may take."
    )
    max_skill_file_bytes: int = _setting(
        "MAX_SKILL_SIZE_BYTES", positive_int, "102400", "cloud", "Largest SKILL.md, in bytes."
    )
    validation_policy: ValidationPolicy = _setting(
        "VALIDATION_POLICY",
        validation,
        "per_skill",
        "cloud",
        "`per_skill`: a bad skill is withheld alone; `all_or_nothing`: with all that its push changed.",
    )
    version_policy: VersionPolicy = _setting(
        "VERSION_POLICY",
        version,
        "derived",
        "cloud",
        "Where versions come from: `strict` frontmatter only; `declared` also skill.yaml; `derived` else from the content.",
    )
    skill_sync_url: str | None = _setting(
        "SKILL_SYNC_URL", text, None, "operator", "Where the functions answer, for the operator's commands."
    )
    skills_dir: Path = _setting("SKILLS_DIR", Path, "/data/skills", "volume", "The folder that the gateway watches.")
    backup_dir: Path = _setting(
        "BACKUP_DIR",
        Path,
        "/data/backups/skills",
        "volume",
        "Where the set as it stood before each deployment is kept, with foreign files that stood in a skill's way.",
    )
    backup_max_bytes: int = _setting(
        "BACKUP_MAX_BYTES", positive_int, "1073741824", "volume", "What all backups may take together, in bytes."
    )
    release_url: str | None = _setting("RELEASE_URL", text, None, "volume", "Base URL of the release function.")
    puller_id: str | None = _setting("PULLER_ID", text, None, "volume", "This puller's name, a slug.")
    puller_key: str | None = _setting(
        "PULLER_KEY", str.strip, None, "volume", "This puller's own key, sent as bearer token."
    )
    trust_anchor: str | None = _setting(
        "TRUST_ANCHOR",
        str.strip,
        None,
        "both",
        "The pinned first version of the trust, one line of JSON, as `operator init` prints it.",
    )
    skills_layout: tuple[str, ...] = _setting(
        "SKILLS_LAYOUT",
        layouts,
        "tree,flat",
        "volume",
        "Layouts to write: `tree` (`<id>/SKILL.md …`), `flat` (`<id>.md`).",
    )
    pull_interval_seconds: float = _setting(
        "PULL_INTERVAL_SECONDS", positive_seconds, "2", "volume", "Seconds between two looks at the pointer."
    )
    gateway_probe: str | None = _setting(
        "GATEWAY_PROBE",
        text,
        None,
        "volume",
        "What proves that the gateway loaded an install: a URL that answers 2xx with JSON, or a command that prints it; "
        "unset, nothing is proved.",
    )
    drift: str = _setting(
        "DRIFT",
        drift,
        "repair",
        "volume",
        "What becomes of installed files that somebody changed: `repair` or `report`.",
    )
    puller_port: int | None = _setting(
        "PULLER_PORT", positive_int, None, "volume", "Port on 127.0.0.1 where the puller tells its state; unset, none."
    )

    @property
    def repo(self) -> str:
        """`<owner>/<name>`, as webhooks and pointers name the repository."""
        return f"{self.github_owner}/{self.github_repo}"

    @property
    def ref(self) -> str:
        """The ref that pointers name: the branch, or `HEAD` for the repository's default branch."""
        return f"refs/heads/{self.github_branch}" if self.github_branch else "HEAD"

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


def loader_environment() -> dict[str, str]:
    """Return what a child process of ours needs to find its interpreter's libraries and texts; no setting, no secret."""
    return {name: os.environ[name] for name in _LOADER_NAMES if name in os.environ}


def command_environment() -> dict[str, str]:
    """Return what a command of the operator's gets of this process's environment: all of it but our own settings.

    It may need whatever the gateway beside us is configured by; our keys are nobody else's.
    """
    names = {field.metadata["name"] for field in fields(Settings)}
    return {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in names}


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
