"""The tables that README shows, made from what they are about."""

from __future__ import annotations

from dataclasses import fields

from shared.config import Settings
from shared.core.credentials import KINDS


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
