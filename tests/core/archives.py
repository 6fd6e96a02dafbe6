"""Archives for the tests: good ones, hostile ones with the reason that each must meet, and what builds them."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib

from shared.core.archive import pack
from shared.core.git_objects import blob_id
from shared.core.gzip_format import wrap
from shared.core.tar_format import BLOCK, TarEntry, write_tar
from shared.model import SkillFile

MIB = 1024 * 1024


def skill_file(path: str, data: bytes = b"", *, executable: bool = False) -> SkillFile:
    return SkillFile(path=path, executable=executable, blob=blob_id(data), data=data)


LONG = "references/" + "long-" * 30 + "name.md"
GOLDEN = [
    skill_file("SKILL.md", b"---\nname: golden\ndescription: Stays the same.\n---\nBody.\n"),
    skill_file("scripts/run.sh", b"#!/bin/sh\nexit 0\n", executable=True),
    skill_file("references/\u00fcbersicht-\u65e5\u672c.md", b"# \xc3\x9cbersicht\n"),
    skill_file(LONG, b"long\n" * 30_000),
    skill_file("empty", b""),
    skill_file("block", bytes(BLOCK)),
]
VALID = pack(GOLDEN)
VALID_TAR = gzip.decompress(VALID)


def tar_of(*members: tarfile.TarInfo, mode: str = "w:gz", **options: object) -> bytes:
    """Let the standard library write an archive; each member of a size gets so many letters."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as tar:
        for each in members:
            tar.addfile(each, io.BytesIO(b"x" * each.size))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, **attributes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in attributes.items():
        setattr(info, key, value)
    return info


def edited(at: int, new: bytes, tar: bytes = VALID_TAR) -> bytes:
    """Change some bytes of the first header, put its checksum right, and wrap it again."""
    block = bytearray(tar[:BLOCK])
    block[at : at + len(new)] = new
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return wrap(bytes(block) + tar[BLOCK:])


def pax(record: bytes) -> bytes:
    """Write a file with this pax header before it."""
    header = edited(0, b"", write_tar([TarEntry(path="./PaxHeader", mode=0o644, data=record)])[:BLOCK])
    typed = gzip.decompress(edited(156, b"x", gzip.decompress(header)))
    padded = record + bytes(-len(record) % BLOCK)
    return wrap(typed + padded + write_tar([TarEntry(path="a", mode=0o644, data=b"")]))


def bomb() -> bytes:
    """One file of 1 GiB of zeros in about 1 MiB: one flushed block of deflate, repeated."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = write_tar([TarEntry(path="a", mode=0o644, data=b"")])[:BLOCK]
    size = gzip.decompress(edited(124, b"%011o" % (1024 * MIB), head))
    start = deflate.compress(size) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(bytes(MIB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + start + block * 1024 + deflate.flush() + bytes(8)


# Name of the attack: what the refusal must say, and the archive.
HOSTILE = {
    "symlink": (
        "regular files only, got an entry of type b'2'",
        tar_of(member("a", tarfile.SYMTYPE, linkname="/etc/passwd")),
    ),
    "hardlink": (
        "regular files only, got an entry of type b'1'",
        tar_of(member("a"), member("b", tarfile.LNKTYPE, linkname="a")),
    ),
    "character device": ("regular files only, got an entry of type b'3'", tar_of(member("a", tarfile.CHRTYPE))),
    "block device": ("regular files only, got an entry of type b'4'", tar_of(member("a", tarfile.BLKTYPE))),
    "fifo": ("regular files only, got an entry of type b'6'", tar_of(member("a", tarfile.FIFOTYPE))),
    "folder": ("regular files only, got an entry of type b'5'", tar_of(member("a", tarfile.DIRTYPE, mode=0o755))),
    "contiguous file": ("regular files only, got an entry of type b'7'", tar_of(member("a", tarfile.CONTTYPE))),
    "old folder": ("empty segment", tar_of(member("a/", tarfile.AREGTYPE), format=tarfile.USTAR_FORMAT)),
    "unknown type": ("regular files only, got an entry of type b'Z'", tar_of(member("a", b"Z"))),
    "GNU sparse": ("regular files only, got an entry of type b'S'", edited(156, b"S")),
    "GNU long name": (
        "regular files only, got an entry of type b'L'",
        tar_of(member("a" * 120), format=tarfile.GNU_FORMAT),
    ),
    "pax sparse": (
        "a pax header that says more than a path, times and owners",
        tar_of(member("a", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"})),
    ),
    "pax size": (
        "a pax header that says more than a path, times and owners",
        tar_of(member("a", pax_headers={"size": "1024"})),
    ),
    "pax link": (
        "a pax header that says more than a path, times and owners",
        tar_of(member("a", pax_headers={"linkpath": "/etc/passwd"})),
    ),
    "pax header for all files": (
        "regular files only, got an entry of type b'g'",
        tar_of(member("a"), pax_headers={"path": "b"}),
    ),
    "parent": ("dot segment", tar_of(member("../a"))),
    "parent inside": ("dot segment", tar_of(member("a/../../b"))),
    "absolute": ("absolute path", tar_of(member("/etc/passwd"))),
    "absolute by prefix": ("absolute path", edited(345, b"/etc")),
    "git hook": ("a git folder", tar_of(member(".git/hooks/post-checkout", mode=0o755))),
    "backslash": ("backslash", tar_of(member("..\\a"))),
    "empty path": ("empty segment", edited(0, bytes(100))),
    "path that is not UTF-8": ("a path that is not UTF-8", edited(0, b"\xff\xfe")),
    "pax path with NUL": ("control character", pax(b"12 path=a\0b\n")),
    "pax path of a parent": ("dot segment", pax(b"13 path=../a\n")),
    "pax path that is not UTF-8": ("a path that is not UTF-8", pax(b"11 path=\xff\xfe\n")),
    "empty pax path": ("empty segment", pax(b"8 path=\n")),
    "huge pax header": (
        "a pax header of more than 1024 bytes",
        tar_of(member("a", pax_headers={"path": "x" * 100_000})),
    ),
    "pax header of zeros": ("a pax header with a malformed or doubled record", pax(bytes(600))),
    "pax record too long": ("a pax record whose length does not hold", pax(b"99 path=a\n")),
    "pax record too short": ("a pax record whose length does not hold", pax(b"3 path=a\n")),
    "pax record of length zero": ("a pax header with a malformed or doubled record", pax(b"0 path=a\n")),
    "pax record of a huge length": ("a pax header with a malformed or doubled record", pax(b"9" * 900 + b" path=a\n")),
    "pax record without a line end": ("a pax record whose length does not hold", pax(b"9 path=a ")),
    "pax record without a key": ("a pax header with a malformed or doubled record", pax(b"5 =a\n")),
    "pax record twice": ("a pax header with a malformed or doubled record", pax(b"10 path=a\n" * 2)),
    "pax header twice": (
        "regular files only, got an entry of type b'x'",
        wrap(gzip.decompress(pax(b"10 path=b\n"))[: 2 * BLOCK] + gzip.decompress(pax(b"10 path=b\n"))),
    ),
    "pax header without a file": (
        "a pax header without its file",
        wrap(gzip.decompress(pax(b"10 path=b\n"))[: 2 * BLOCK] + bytes(2 * BLOCK)),
    ),
    "duplicate": ("given twice", tar_of(member("a"), member("a"))),
    "case collision": (
        "differs from 'README.md' only in case or Unicode form",
        tar_of(member("README.md"), member("readme.md")),
    ),
    "Unicode collision": ("not in Unicode form NFC", tar_of(member("e\u0301"), member("\u00e9"))),
    "file and folder": ("needs a folder where 'a' is a file", tar_of(member("a"), member("a/b"))),
    "201 files": ("expected at most 200 files, got more", tar_of(*[member(f"f{number}") for number in range(201)])),
    "8 MiB and a byte": (
        "expected at most 8388608 bytes, got 8388609",
        wrap(write_tar([TarEntry(path="a", mode=0o644, data=bytes(8 * MIB + 1))])),
    ),
    "setuid": ("expected mode 644 or 755, got 4755", tar_of(member("a", mode=0o4755))),
    "mode 0777": ("expected mode 644 or 755, got 777", tar_of(member("a", mode=0o777))),
    "mode 0600": ("expected mode 644 or 755, got 600", tar_of(member("a", mode=0o600))),
    "negative size": ("a header with a field that is not an octal number", edited(124, b"\xff" * 12)),
    "size in binary": ("a header with a field that is not an octal number", edited(124, b"\x80" + bytes(10) + b"\x01")),
    "size with a sign": ("a header with a field that is not an octal number", edited(124, b"-0000000001\0")),
    "size beyond the end": ("the stream ends inside a file", edited(124, b"77777777777\0")),
    "size that is no number": ("a header with a field that is not an octal number", edited(124, b"0x10\0")),
    "size left out": ("a header with a field that is not an octal number", edited(124, bytes(12))),
    "no mark of ustar": ("a header without the mark of ustar", edited(257, bytes(8))),
    "bytes in the padding": (
        "bytes hidden in the padding of a file",
        wrap(write_tar([TarEntry(path="a", mode=0o644, data=b"1")]).replace(b"1\0\0", b"1\0\2")),
    ),
    "checksum": ("a header's checksum does not hold", wrap(b"X" + VALID_TAR[1:])),
    "one block at the end": ("two blocks of zeros and nothing else", wrap(VALID_TAR[:-BLOCK])),
    "no blocks at the end": ("two blocks of zeros and nothing else", wrap(VALID_TAR[: -2 * BLOCK])),
    "file after the end": ("two blocks of zeros and nothing else", wrap(VALID_TAR + VALID_TAR)),
    "garbage after the end": ("two blocks of zeros and nothing else", wrap(VALID_TAR + b"garbage")),
    "zeros after the end that fill no block": ("two blocks of zeros and nothing else", wrap(VALID_TAR + bytes(100))),
    "unreadable header in the middle": (
        "a header without the mark of ustar",
        wrap(VALID_TAR[: 2 * BLOCK] + b"?" * BLOCK + VALID_TAR[2 * BLOCK :]),
    ),
    "second member": ("158241 bytes follow it", VALID + VALID),
    "second empty member": ("20 bytes follow it", VALID + gzip.compress(b"")),
    "garbage behind": ("7 bytes follow it", VALID + b"garbage"),
    "zeros behind": ("8 bytes follow it", VALID + bytes(8)),
    "wrong CRC": ("expected one gzip member, zlib says", VALID[:-8] + bytes(4) + VALID[-4:]),
    "wrong length": ("expected one gzip member, zlib says", VALID[:-4] + bytes(4)),
    "reserved deflate block": ("expected one gzip member, zlib says", VALID[:10] + b"\x07" + VALID[11:]),
    "wrong complement": ("expected one gzip member, zlib says", VALID[:13] + b"\1\1" + VALID[15:]),
    "empty": ("it ends early after 0 bytes", b""),
    "not gzip": ("expected one gzip member, zlib says", b"SKILL.md"),
    "zip": ("expected one gzip member, zlib says", b"PK\3\4" + bytes(100)),
    "zlib": ("expected one gzip member, zlib says", zlib.compress(VALID_TAR)),
    "tar without gzip": ("expected one gzip member, zlib says", VALID_TAR),
    "gzip of nothing": ("two blocks of zeros and nothing else", gzip.compress(b"")),
    "gzip of gzip": ("a header without the mark of ustar", gzip.compress(VALID)),
}
