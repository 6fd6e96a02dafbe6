"""Packs what the cloud runs into one zip: the same files make the same bytes, on any machine and at any time.

    python infra/package.py dist/skill-sync-functions.zip

Terraform names the uploaded object by this file's SHA-256: without a new name nothing is built anew, and with unchanged
content nothing should be. Files are stored, not compressed, since compressors differ between versions of zlib.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import zipfile
from pathlib import Path

FOLDERS = ("functions", "shared")
FILES = ("requirements.txt",)
_ROOT = Path(__file__).resolve().parents[1]
_LEFT_OUT = {"__pycache__"}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_UNIX, _PLAIN_FILE = 3, 0o100644


def package(root: Path, target: Path) -> str:
    """Write the zip; it appears whole or not at all.

    Args:
        root: The project's folder.
        target: The file to write; its folder is made.

    Returns:
        The zip's SHA-256, in hex.

    Raises:
        ValueError: a symbolic link lies among the files; what it points to would depend on the machine.
        FileNotFoundError: a file or folder that belongs in is missing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as stream:
        part = Path(stream.name)
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for path in _packed(root):
                entry = zipfile.ZipInfo(path.relative_to(root).as_posix(), _EPOCH)
                entry.create_system, entry.external_attr = _UNIX, _PLAIN_FILE << 16
                archive.writestr(entry, path.read_bytes())
        part.chmod(0o644)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def _packed(root: Path) -> list[Path]:
    found = [root / name for name in FILES]
    for folder in FOLDERS:
        if not (root / folder).is_dir():
            raise FileNotFoundError(f"expected the folder {folder} in {root}")
        found += [path for path in (root / folder).rglob("*") if _belongs(path, root)]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _belongs(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    if any(part in _LEFT_OUT or part.startswith(".") for part in parts) or path.suffix == ".pyc":
        return False
    if path.is_symlink():
        raise ValueError(f"expected plain files, {path.relative_to(root)} is a symbolic link")
    return path.is_file()


def main() -> None:
    """Pack this project into the file that is named."""
    target = Path(sys.argv[1])
    print(f"{package(_ROOT, target)}  {target}")  # noqa: T201 - a command prints


if __name__ == "__main__":
    main()
