"""The table of rules: code, severity, hint and reason of every finding. The checks that apply them stand in `judge`.

Adding a rule is adding a row here and its check there. The table carries a version: when a row or a limit changes, every
live skill is judged again by the next poll.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.core.canonical import canonical_bytes, digest_of
from shared.model import Finding, Severity

MAX_RESOURCE_BYTES = 1024 * 1024
MAX_SKILL_FILES = 200
MAX_SKILL_TOTAL_BYTES = 8 * 1024 * 1024
MAX_DESCRIPTION_CHARS = 1024
MAX_SKILLS = 200
MAX_CONTENT_FINDINGS = 200
"""Of one skill; more tell its author nothing new, and withheld ones stand in the manifest."""
MAX_NAME_CHARS = 200
REVISION = 2
"""To be raised whenever a check judges otherwise than before without a row or a limit changing."""
JUNK_FOLDERS = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv"})
JUNK_SUFFIX = ".pyc"
UNWATCHED_IDS = frozenset({"build", "dist", "venv", "node_modules", "__pycache__"})


class ValidationPolicy(StrEnum):
    """What one rejected skill does to the others that the same push changed."""

    PER_SKILL = "per_skill"
    ALL_OR_NOTHING = "all_or_nothing"


class VersionPolicy(StrEnum):
    """Where an effective version may come from."""

    STRICT = "strict"
    DECLARED = "declared"
    DERIVED = "derived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The settings that rules depend on. `max_skill_file_bytes` caps the skill file itself."""

    validation: ValidationPolicy = ValidationPolicy.PER_SKILL
    version: VersionPolicy = VersionPolicy.DERIVED
    max_skill_file_bytes: int = 102_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row. `hint` tells the author what to change; `reason` tells the team why the rule exists."""

    code: str
    severity: Severity
    hint: str
    reason: str


def _error(code: str, hint: str, reason: str) -> Rule:
    return Rule(code=code, severity=Severity.ERROR, hint=hint, reason=reason)


def _warning(code: str, hint: str, reason: str) -> Rule:
    return Rule(code=code, severity=Severity.WARNING, hint=hint, reason=reason)


_ROWS = (
    _error("ENCODING_INVALID", "save the file as UTF-8 without NUL bytes", "the gateway reads UTF-8 only"),
    _error(
        "FM_MISSING",
        "begin the file with a line ---, then name: and description:, then a closing line ---",
        "the gateway does not load a skill without frontmatter",
    ),
    _error("FM_TOO_LARGE", "keep the frontmatter under 16 KiB; move text below it", "bounds the parser's work"),
    _error(
        "FM_SYNTAX", "mend the YAML on this line; quote any value that holds a colon", "the gateway drops such a skill"
    ),
    _error(
        "FM_TOO_COMPLEX",
        "use one YAML document with at most 16 levels and 4,000 entries",
        "bounds the parser's work",
    ),
    _error(
        "FM_UNSAFE",
        "remove anchors, aliases, tags, merge keys, duplicate keys and exotic line breaks",
        "YAML readers disagree about them, so what is checked is not what is loaded",
    ),
    _error("NAME_MISSING", "add name: with a non-empty text to the frontmatter", "the gateway lists skills by name"),
    _error(
        "DESC_MISSING",
        "add description: with a non-empty text to the frontmatter",
        "the gateway does not load it without",
    ),
    _error(
        "ID_INVALID",
        "name the folder with a-z, 0-9 and single hyphens, at most 64 characters",
        "the folder's name becomes a path on every host",
    ),
    _warning("NAME_MISMATCH", "name: should equal the folder's name", "people look a skill up by either"),
    _warning("DESC_TOO_LONG", "keep description: within 1,024 characters", "every agent turn pays for it"),
    _error("VERSION_INVALID", "write the version as MAJOR.MINOR.PATCH (semver.org)", "versions must be comparable"),
    _warning(
        "VERSION_DERIVED",
        "add version: to the frontmatter; it was derived from the content",
        "a number people can name",
    ),
    _warning(
        "VERSION_CONFLICT", "let all sources of the version agree; the first one counts", "people read either one"
    ),
    _warning("VERSION_NOT_BUMPED", "raise the version: the content changed", "one version should mean one content"),
    _warning(
        "DUPLICATE_ID", "keep one of these folders; the shallower one is published", "an id can be live only once"
    ),
    _error(
        "FILE_TOO_LARGE",
        "make SKILL.md smaller; move text into resource files",
        "the gateway refuses large skill files",
    ),
    _warning("RESOURCE_SKIPPED", "keep each resource within 1 MiB; this one is left out", "bundles stay small"),
    _error("SKILL_TOO_LARGE", "keep a skill within 200 files and 8 MiB", "bundles stay small"),
    _error(
        "PATH_UNSAFE",
        "rename this path: no links, no odd characters, no names that differ only in case",
        "a path must mean the same file on every host",
    ),
    _warning(
        "SUBMODULE_SKIPPED",
        "commit the files themselves; a submodule is left out",
        "its content is not in this repository",
    ),
    _warning("JUNK_SKIPPED", "add this folder or file to .gitignore; it is left out", "build products are not skills"),
    _warning(
        "ID_UNWATCHED", "rename the folder: the gateway never watches one of this name", "it would not hot-reload"
    ),
    _warning(
        "TOO_MANY_SKILLS", "keep at most 200 skills in the bundle", "the gateway silently loads the first 200 only"
    ),
    _error(
        "SECRET_FOUND",
        "remove the secret, revoke it where it was issued, and read it from the environment",
        "whatever is published, every agent can read",
    ),
    _warning(
        "SECRET_SUSPECT",
        "make sure that this is no real secret; write a placeholder such as <your-key>",
        "a person must look at what a pattern cannot tell",
    ),
    _error(
        "HIDDEN_UNICODE",
        "remove the invisible characters on this line: tag characters or bidirectional overrides",
        "an agent reads them, a reviewer does not see them",
    ),
    _warning(
        "INVISIBLE_CHAR",
        "remove the zero-width or control characters on this line",
        "they make texts that only look alike",
    ),
    _warning(
        "BINARY_OPAQUE",
        "commit the sources instead of an archive or a native program",
        "nobody can review what is inside",
    ),
    _warning(
        "SUSPICIOUS_CONTENT",
        "rewrite this line: it looks like a download piped to a shell, a theft of keys, or a hidden instruction",
        "a person should read it before an agent obeys it",
    ),
    _error(
        "UNCHECKABLE",
        "the checks crashed or ran out of time or memory on this skill: simplify its files, and report it to skill-sync",
        "what nobody could check is not published",
    ),
)

RULES = {rule.code: rule for rule in _ROWS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One place of a text where a rule applies. `detail` names the kind, such as a provider; never the matched text."""

    code: str
    line: int
    detail: str = ""


def finding(code: str, path: str, line: int = 0, *, detail: str = "") -> Finding:
    """Make a finding of a rule.

    Args:
        code: The rule's code.
        path: The file or folder, relative to the repository's root.
        line: Counted from 1; 0 means the whole file.
        detail: A word more about this case, which must not quote matched text other than names and frontmatter lines.
    """
    rule = RULES[code]
    hint = f"{rule.hint} ({detail})" if detail else rule.hint
    return Finding(code=code, severity=rule.severity, path=path, line=line, hint=hint)


def rule_set_version(terms: Terms) -> str:
    """Return the version of the rules and of the settings that they depend on, as the manifest names it."""
    from shared.core.providers import PROVIDERS  # noqa: PLC0415 - seventy patterns to compile, for who judges alone

    limits = [
        MAX_RESOURCE_BYTES,
        MAX_SKILL_FILES,
        MAX_SKILL_TOTAL_BYTES,
        MAX_DESCRIPTION_CHARS,
        MAX_NAME_CHARS,
        MAX_SKILLS,
    ]
    return digest_of(
        canonical_bytes(
            {
                "revision": REVISION,
                "rows": [[rule.code, rule.severity.value] for rule in _ROWS],
                "limits": limits,
                "providers": [[provider.name, provider.expression] for provider in PROVIDERS],
                "junk": [*sorted(JUNK_FOLDERS), JUNK_SUFFIX],
                "terms": [terms.validation.value, terms.version.value, terms.max_skill_file_bytes],
            }
        )
    )[:16]
