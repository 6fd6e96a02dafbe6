"""One TLS context for all clients of a process: reading the authorities' certificates takes longer than a whole request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from shared.adapters.lean_httpx import httpx

if TYPE_CHECKING:
    import ssl

_LOCK = threading.Lock()
_MADE: list[ssl.SSLContext] = []


def tls_context() -> ssl.SSLContext:
    """Return what httpx would make for each client: it checks names and certificates, and obeys `SSL_CERT_FILE`."""
    with _LOCK:
        if not _MADE:
            _MADE.append(httpx.create_ssl_context())
        return _MADE[0]
