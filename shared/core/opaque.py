"""Files that nobody can review: archives and native programs, told by their first bytes, whatever their names say."""

from __future__ import annotations

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"!<arch>\n", "an ar archive"),
    (b"\x7fELF", "a native program"),
    (b"\xfe\xed\xfa\xce", "a native program"),
    (b"\xfe\xed\xfa\xcf", "a native program"),
    (b"\xce\xfa\xed\xfe", "a native program"),
    (b"\xcf\xfa\xed\xfe", "a native program"),
    (b"\xca\xfe\xba\xbe", "compiled code"),
    (b"\0asm", "compiled code"),
)
_TAR, _TAR_AT = b"ustar", 257
_DOS, _PE = b"MZ", b"PE\0\0"
_PE_POINTER = slice(0x3C, 0x40)


def opaque_kind(data: bytes) -> str | None:
    """Say what kind of opaque file this is, None when it is none.

    Args:
        data: The whole file.
    """
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        return "a tar archive"
    if data.startswith(_DOS):
        at = int.from_bytes(data[_PE_POINTER], "little")
        return "a native program" if data[at : at + len(_PE)] == _PE else None
    return None
