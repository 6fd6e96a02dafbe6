"""`make fuzz`: feed the gate what a coverage-guided fuzzer thinks of, beginning with the hostile cases.

    make fuzz ARGS="-max_total_time=600"      # libFuzzer's options

A crash leaves its input in a file beside the working directory; it belongs into tests/hostile/cases.py as a row.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["shared"]):
    from shared.core.frontmatter import FrontmatterError, read_frontmatter
    from tests.hostile.cases import cases
    from tests.hostile.gate import Folder, judged

_SPLIT = b"\0\xff\0"


def one_input(data: bytes) -> None:
    """Judge a skill: the skill file, and behind a separator the name and content of a file beside it."""
    skill_file, _, rest = data.partition(_SPLIT)
    with suppress(FrontmatterError):
        read_frontmatter(skill_file)
    path, _, content = rest.partition(_SPLIT)
    files = {"SKILL.md": skill_file}
    if path:
        files[path.decode("utf-8", "surrogateescape")] = content
    judged(Folder(files=files))


def main() -> None:
    """Fuzz with the hostile cases as the first inputs, until libFuzzer is told to end."""
    with tempfile.TemporaryDirectory(prefix="skill-sync-fuzz-") as folder:
        for number, case in enumerate(cases()):
            files = list(case.folder.files.items())
            seed = files[0][1]
            if len(files) > 1:
                path, content = files[1]
                seed += _SPLIT + path.encode("utf-8", "surrogatepass") + _SPLIT + content[:4096]
            (Path(folder) / f"{number:04d}").write_bytes(seed[:65_536])
        atheris.Setup([sys.argv[0], *sys.argv[1:], folder], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
