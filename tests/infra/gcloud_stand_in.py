"""A stand-in for `gcloud`: it takes only the calls that it is given, argument by argument, and keeps what it was asked.

It says nothing about what the real one does with them; that is the table's author's to know.
"""

from __future__ import annotations

import json
import stat
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_SCRIPT = """#!{python} -SE
import json, pathlib, sys
here = pathlib.Path(__file__).parent
if sys.argv[1:] not in json.loads((here / "gcloud.table").read_text()):
    sys.exit(f"gcloud stand-in: not in the table: {{sys.argv[1:]}}")
with (here / "gcloud.asked").open("a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + "\\n")
"""


def install(folder: Path, table: Iterable[Iterable[str]], variables: Mapping[str, str]) -> None:
    """Put it in a folder for the PATH.

    Args:
        folder: Made if it is not there.
        table: The calls, each as its arguments; `{NAME}` stands for a variable.
        variables: Their values.
    """
    folder.mkdir(exist_ok=True)
    rows = [[word.format_map(variables) for word in row] for row in table]
    (folder / "gcloud.table").write_text(json.dumps(rows))
    (folder / "gcloud.asked").write_text("")
    program = folder / "gcloud"
    program.write_text(_SCRIPT.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def asked(folder: Path) -> list[list[str]]:
    """Return what it was asked, in order."""
    return [json.loads(line) for line in (folder / "gcloud.asked").read_text().splitlines()]
