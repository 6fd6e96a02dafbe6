"""Everything that can be set, each setting with its name, how it is read, and what it is for; `config` reads them.

README's table is made from the fields.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import ConfigError
from shared.setting_reader import setting as _setting
from shared.setting_values import (
    alert_urls,
    drift,
    graph_url,
    issuer,
    layouts,
    lines,
    minutes,
    one_or_two,
    pems,
    poll_auth,
    poll_url,
    positive_int,
    positive_seconds,
    repository_id,
    root,
    secrets,
    service_account,
    task_queue,
    text,
    tokens,
    validation,
    version,
    web_url,
    web_urls,
    workflow,
)

if TYPE_CHECKING:
    from shared.core.rules import ValidationPolicy, VersionPolicy

_secret = partial(_setting, secret=True)


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
    github_tokens: tuple[str, ...] = _secret(
        "GITHUB_TOKEN",
        tokens,
        "",
        "cloud",
        "Token with Contents: read (and Webhooks: read, to see lost webhooks); two lines, newest first, while it is rotated; "
        "unset for a public repository.",
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
    github_app_keys: tuple[str, ...] = _secret(
        "GITHUB_APP_KEY",
        pems,
        "",
        "cloud",
        "That App's private key, PEM; two blocks, newest first, while it is rotated; in one line, `\\n` stands for line ends.",
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
    webhook_secrets: tuple[str, ...] = _secret(
        "GITHUB_WEBHOOK_SECRET",
        secrets,
        "",
        "cloud",
        "The webhook's secret; two lines, newest first, while it is rotated.",
    )
    api_keys: tuple[str, ...] = _secret(
        "MANUAL_SYNC_API_KEY", secrets, "", "cloud", "The operators' key (`x-api-key`); two lines while it is rotated."
    )
    poll_auth: str = _setting(
        "POLL_AUTH",
        poll_auth,
        "api_key",
        "cloud",
        "Who may poll: `api_key` asks for `x-api-key`; `iam` when Cloud IAM alone decides who reaches the function.",
    )
    oidc_audience: str | None = _setting(
        "OIDC_AUDIENCE",
        str.strip,
        None,
        "cloud",
        "Whom a workflow's OIDC token must be made for, best this service's URL; unset, `/api/deploy` takes no token. "
        "Needs GITHUB_BRANCH.",
    )
    oidc_issuer: str = _setting(
        "GITHUB_OIDC_ISSUER",
        issuer,
        "https://token.actions.githubusercontent.com",
        "cloud",
        "Who signs those tokens; on an Enterprise Server `https://HOST/_services/token`.",
    )
    oidc_workflow: str | None = _setting(
        "OIDC_WORKFLOW", workflow, None, "cloud", "The one file in `.github/workflows/` that may deploy; unset, any."
    )
    github_repository_id: str | None = _setting(
        "GITHUB_REPOSITORY_ID", repository_id, None, "cloud", "The repository's number; a token must then name it too."
    )
    signing_keys: tuple[str, ...] = _secret(
        "SIGNING_KEY",
        one_or_two,
        "",
        "cloud",
        "Ed25519 seed, 32 bytes as base64, that signs pointers; of two lines, newest first, the first that the trust names.",
    )
    puller_key_hashes: tuple[str, ...] = _setting(
        "PULLER_KEY_HASHES", lines, "", "cloud", "One line a key: `<puller id>:<SHA-256 of its PULLER_KEY, hex>`."
    )
    nudge_urls: tuple[str, ...] = _secret(
        "NUDGE_URLS",
        web_urls,
        "",
        "cloud",
        "Where pullers take the news of a deployment, with commas or one a line; unset, they find it at their next look.",
    )
    alert_urls: tuple[str, ...] = _secret(
        "ALERT_URLS", alert_urls, "", "cloud", "Where alerts go: apprise URLs, one a line or with commas; a secret."
    )
    neo4j_uri: str | None = _setting(
        "NEO4J_URI", graph_url, None, "cloud", "The audit graph, such as `neo4j+s://HOST`; unset, none is kept."
    )
    neo4j_users: tuple[str, ...] = _setting(
        "NEO4J_USER",
        one_or_two,
        "neo4j",
        "cloud",
        "Who writes the audit graph; two lines, newest first, while the password is rotated by a second user.",
    )
    neo4j_passwords: tuple[str, ...] = _secret(
        "NEO4J_PASSWORD", one_or_two, "", "cloud", "That user's password; two lines, the last one for the last user."
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
    deferred_queue: str | None = _setting(
        "DEFERRED_QUEUE",
        task_queue,
        None,
        "cloud",
        "Cloud Tasks queue by which a webhook that is not finished in time asks for the poll at once, such as "
        "`projects/P/locations/L/queues/Q`; unset, the next poll finishes it.",
    )
    deferred_poll_url: str | None = _setting(
        "DEFERRED_POLL_URL", poll_url, None, "cloud", "Where that queue polls: `https://HOST/api/poll`."
    )
    deferred_caller: str | None = _setting(
        "DEFERRED_CALLER", service_account, None, "cloud", "The service account as which it polls: the scheduler's."
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
    runbook_url: str | None = _setting(
        "RUNBOOK_URL",
        web_url,
        None,
        "cloud",
        "Where a browser finds the folder infra/runbooks, for the dashboard's links; unset, it names the files alone.",
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
    puller_key: str | None = _secret(
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

    def is_given(self, name: str) -> bool:
        """Whether a setting, by its environment name, has a value."""
        values = {field.metadata["name"]: getattr(self, field.name) for field in fields(self)}
        return values[name] not in (None, ())

    def need(self, *names: str) -> None:
        """Make sure that these settings (by environment name) are given.

        Raises:
            ConfigError: `CONFIG_MISSING`, naming every one that is not.
        """
        missing = [name for name in names if not self.is_given(name)]
        if missing:
            raise ConfigError("CONFIG_MISSING", f"not set: {', '.join(missing)} (or the same with _FILE)")
