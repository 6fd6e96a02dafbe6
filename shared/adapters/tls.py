"""One TLS context for all clients of a process: reading the authorities' certificates takes longer than a whole request."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from shared.adapters.lean_httpx import httpx

if TYPE_CHECKING:
    import ssl

_LOCK = threading.Lock()
_MADE: list[ssl.SSLContext] = []


def tls_context() -> ssl.SSLContext:
    """Return what httpx would make for each client: it checks names and certificates, and obeys `SSL_CERT_FILE`.

    Raises:
        OSError: the authorities' certificates cannot be read.
    """
    with _LOCK:
        if not _MADE:
            _MADE.append(httpx.create_ssl_context())
        return _MADE[0]


def prepare() -> None:
    """Begin to make it, and return at once; never fails.

    OpenSSL reads them without the interpreter's lock: where there is a second processor, other modules are loaded meanwhile.
    """
    with suppress(RuntimeError):  # no thread to be had: whoever needs it makes it
        threading.Thread(target=_make, name="tls", daemon=True).start()


def _make() -> None:
    with suppress(OSError):  # whoever needs it is told
        tls_context()
