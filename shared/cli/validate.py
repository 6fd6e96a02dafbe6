"""`validate`: the rules on a local folder, for authors before they push and for CI. It needs no settings and no network."""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from shared.adapters.judge_process import JudgeProcess
from shared.config import loader_environment
from shared.core.rules import Terms, ValidationPolicy, VersionPolicy
from shared.core.upload import tree_of
from shared.core.validation_report import as_annotations, as_document, as_sarif
from shared.errors import InputError
from shared.model import BlobId, Kind, Severity
from shared.service.validate import validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.core.upload import Tree
    from shared.core.validation_report import Report

MAX_FILE_BYTES = 16 * 2**20
"""Of a larger file no more is read than shows that it is too large."""
MAX_SKILL_SECONDS = 60.0
_EXECUTABLE = 0o111
_UNQUOTED = re.compile(r"([A-Za-z_-]{1,40}):[ \t]+([^\s\"'|>\[{&*!%@`#].*:[ \t].*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to validate and how to tell it."""

    path: Path
    form: str
    root: str
    version_policy: str
    max_skill_file_bytes: int


def run_validate(request: Request) -> int:
    """Validate a folder and print what was found.

    Returns:
        1 when a skill would be kept out, else 0.

    Raises:
        InputError: `PATH_UNKNOWN`, there is no such folder.
    """
    if not request.path.is_dir():
        raise InputError("PATH_UNKNOWN", f"{request.path} is no folder")
    tree = tree_of(_files(request.path))
    report = _judged(request, tree)
    if request.form == "table":
        _print_table(report)
        _print_mends(report, tree)
    elif request.form == "github":
        sys.stdout.write(as_annotations(report).encode("utf-8", "backslashreplace").decode())
    else:
        document = as_sarif(report) if request.form == "sarif" else as_document(report)
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return 1 if report.errors else 0


def _judged(request: Request, tree: Tree) -> Report:
    terms = Terms(
        validation=ValidationPolicy.PER_SKILL,
        version=VersionPolicy(request.version_policy),
        max_skill_file_bytes=request.max_skill_file_bytes,
    )
    with (
        closing(JudgeProcess(loader_environment())) as judge,
        Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress,
    ):
        task = progress.add_task("Validating", total=None)
        return validate(
            tree.listing,
            lambda _entries: tree.contents,
            lambda case: judge([case], MAX_SKILL_SECONDS)[0],
            terms,
            request.root.strip("/"),
            told=lambda done, total: progress.update(task, completed=done, total=total),
        )


def _files(folder: Path) -> Iterator[tuple[str, Kind, bytes]]:
    """Yield every file below a folder as git would see it; links are not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        linked = [name for name in folders if os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118 - as os.walk names them
        for name in sorted([*names, *linked]):
            full = os.path.join(place, name)  # noqa: PTH118 - the same
            path = os.path.relpath(full, folder).replace(os.sep, "/")
            shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            if os.path.islink(full):  # noqa: PTH114 - the same
                yield shown, Kind.SYMLINK, os.readlink(full).encode("utf-8", "surrogateescape")  # noqa: PTH115 - the same
            elif os.path.isfile(full):  # noqa: PTH113 - the same
                with open(full, "rb") as stream:  # noqa: PTH123 - the same
                    data = stream.read(MAX_FILE_BYTES)
                    mode = os.fstat(stream.fileno()).st_mode
                yield shown, Kind.EXECUTABLE if mode & _EXECUTABLE else Kind.FILE, data


def _print_table(report: Report) -> None:
    console = Console()
    table = Table(show_lines=False)
    for column in ("", "code", "where", "what to change"):
        table.add_column(column, overflow="fold")
    for _, found in report.findings:
        style = "red" if found.severity is Severity.ERROR else "yellow"
        where = f"{found.path}:{found.line}" if found.line else found.path
        row = (found.severity.value, found.code, where, found.hint)
        # A path may hold anything: control characters must not reach the terminal, nor markup be obeyed.
        table.add_row(*(Text(_shown(text), style=style if number < 2 else "") for number, text in enumerate(row)))  # noqa: PLR2004
    if report.findings:
        console.print(table)
    warnings = len(report.findings) - report.errors
    console.print(f"{report.skills} skills, {report.errors} errors, {warnings} warnings", highlight=False)


def _print_mends(report: Report, tree: Tree) -> None:
    """Print the lines that only lack quotes as they should be. This stays on the author's screen; findings quote nothing."""
    blobs = {entry.path: entry.id for entry in tree.listing}
    for _, found in report.findings:
        if found.code != "FM_SYNTAX":
            continue
        lines = tree.contents[BlobId(blobs[found.path])].decode("utf-8", "replace").splitlines()
        match = _UNQUOTED.fullmatch(lines[found.line - 1]) if 0 < found.line <= len(lines) else None
        if match is not None:
            value = match[2].replace("\\", "\\\\").replace('"', '\\"')
            print(f'\n{_shown(found.path)}:{found.line} should be\n  {match[1]}: "{_shown(value)}"')


def _shown(text: str) -> str:
    plain = text.encode("utf-8", "backslashreplace").decode()
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in plain)
