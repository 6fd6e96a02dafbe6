"""One TLS context for what a process asks of GitHub and Google Cloud, made fast: reading every authority takes its time.

Debian and its like hold the authorities' certificates one to a file, named by a hash, so that OpenSSL reads the one that it
needs; where the machine has no such folder, or somebody has named another file, httpx's own way is taken, which reads them all.
"""

from __future__ import annotations

import re
import ssl
import threading
from pathlib import Path
from typing import Final

from shared.adapters.lean_httpx import httpx

WHOLE: Final = 100
"""So many authorities at least has a machine that knows the public ones; Mozilla's list has about 140."""
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
_LOCK = threading.Lock()
_MADE: list[ssl.SSLContext] = []


def tls_context() -> ssl.SSLContext:
    """Return the context of this process: it checks names and certificates, and obeys `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    Raises:
        OSError: the authorities' certificates cannot be read.
    """
    with _LOCK:
        if not _MADE:
            _MADE.append(new_context(ssl.get_default_verify_paths()))
        return _MADE[0]


def new_context(paths: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    """Make a context.

    Args:
        paths: Where OpenSSL looks for the authorities, and where it would without the environment.

    Raises:
        OSError: as for `tls_context`.
    """
    usual = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
    if paths.cafile == usual and paths.capath is not None and _is_whole(Path(paths.capath)):
        return ssl.create_default_context(capath=paths.capath)
    return httpx.create_ssl_context()


def _is_whole(folder: Path) -> bool:
    try:
        return sum(1 for path in folder.iterdir() if _HASHED.fullmatch(path.name)) >= WHOLE
    except OSError:  # nobody can read it
        return False
