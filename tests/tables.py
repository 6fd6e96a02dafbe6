"""The tables that README shows and the examples of an environment, made from what they are about.

`python -m tests.tables` writes the examples anew.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from textwrap import wrap

from shared.config import Settings
from shared.core.credentials import KINDS

INFRA = Path(__file__).resolve().parents[1] / "infra"
NEEDED = {
    "cloud": (
        "STORE_URI",
        "GITHUB_OWNER",
        "GITHUB_REPO",
        "GITHUB_WEBHOOK_SECRET",
        "MANUAL_SYNC_API_KEY",
        "SIGNING_KEY",
        "PULLER_KEY_HASHES",
        "TRUST_ANCHOR",
    ),
    "volume": ("RELEASE_URL", "PULLER_ID", "PULLER_KEY", "TRUST_ANCHOR"),
}
"""What must be filled in, by side."""


def settings_table() -> str:
    """Every setting, in Markdown."""
    rows = ["| name | default | side | what it is |", "|---|---|---|---|"]
    for field in fields(Settings):
        meta = field.metadata
        default = "" if meta["default"] in (None, "") else f"`{meta['default']}`"
        rows.append(f"| `{meta['name']}` | {default} | {meta['side']} | {meta['what']} |")
    return "\n".join(rows)


def credentials_table() -> str:
    """Every credential that is rotated, in Markdown."""
    rows = ["| credential | at most | kept in | two at once by | when it has lapsed |", "|---|---|---|---|---|"]
    rows += [
        f"| `{kind.name}` | {kind.cadence_days} d | {kind.kept} | {kind.overlap} | {kind.symptom} |"
        for kind in KINDS.values()
    ]
    return "\n".join(rows)


def environment_example(side: str) -> str:
    """An example of an environment file: what is needed is to be filled in, the rest stands as comments with its default.

    Settings of both sides are in either.
    """
    lines = [
        f"# Settings of the {side} side, from shared/settings.py. Each may be given as <NAME>_FILE, too: a file that holds it."
    ]
    for field in fields(Settings):
        meta = field.metadata
        if meta["side"] not in {side, "both"}:
            continue
        mark = "" if meta["name"] in NEEDED[side] else "#"
        lines += ["", *wrap(meta["what"], 118, initial_indent="# ", subsequent_indent="# ")]
        lines.append(f"{mark}{meta['name']}={meta['default'] or ''}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for each in NEEDED:
        (INFRA / f"{each}.env.example").write_text(environment_example(each))
