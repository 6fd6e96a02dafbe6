"""The effective version of a skill and where it comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.core.frontmatter import FrontmatterError, read_yaml
from shared.core.rules import VersionPolicy

if TYPE_CHECKING:
    from shared.core.frontmatter import Frontmatter
    from shared.model import TreeId

MANIFEST_FILE = "skill.yaml"

# https://semver.org/spec/v2.0.0.html, "Is there a suggested regular expression"
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)
_SHORT = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)", re.ASCII)
_MAX_CHARS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveVersion:
    """A version, where it was found, and whether another source says otherwise. `text` is None where none is valid."""

    text: str | None
    source: str
    conflicting: bool = False


def effective_version(
    frontmatter: Frontmatter, manifest_file: bytes | None, tree: TreeId, policy: VersionPolicy
) -> EffectiveVersion:
    """Find the version: frontmatter, then `metadata.version`, then `skill.yaml`, then derived from the tree id.

    Args:
        frontmatter: The skill file's.
        manifest_file: The content of a sibling `skill.yaml`, None where there is none.
        tree: The skill's tree id.
        policy: After which source the search stops.
    """
    stated = [
        ("frontmatter", frontmatter.text("version")),
        ("metadata", frontmatter.text("metadata", "version")),
        (MANIFEST_FILE, _manifest_version(manifest_file)),
    ]
    allowed = stated[:1] if policy is VersionPolicy.STRICT else stated
    found = [(source, text.strip()) for source, text in allowed if text is not None and text.strip()]
    if not found:
        if policy is VersionPolicy.DERIVED:
            return EffectiveVersion(text=f"0.0.0+git.{tree[:12]}", source="derived")
        return EffectiveVersion(text=None, source="none")
    source, text = found[0]
    conflicting = any(normal_version(other) != normal_version(text) for _, other in found[1:])
    return EffectiveVersion(text=normal_version(text), source=source, conflicting=conflicting)


def normal_version(text: str) -> str | None:
    """Return the text as semver, `x.y` padded to `x.y.0`; None where it is none."""
    if len(text) > _MAX_CHARS:
        return None
    if _SHORT.fullmatch(text):
        return f"{text}.0"
    return text if _SEMVER.fullmatch(text) else None


def _manifest_version(data: bytes | None) -> str | None:
    # A skill.yaml belongs to other tools too: one that cannot be read simply names no version.
    if data is None:
        return None
    try:
        return read_yaml(data.decode()).text("version")
    except (UnicodeDecodeError, FrontmatterError):
        return None
