"""README's table of settings, made from the settings themselves."""

from __future__ import annotations

from dataclasses import fields

from shared.config import Settings


def settings_table() -> str:
    """Return the table in Markdown."""
    rows = ["| name | default | side | what it is |", "|---|---|---|---|"]
    for field in fields(Settings):
        meta = field.metadata
        default = "" if meta["default"] in (None, "") else f"`{meta['default']}`"
        rows.append(f"| `{meta['name']}` | {default} | {meta['side']} | {meta['what']} |")
    return "\n".join(rows)
