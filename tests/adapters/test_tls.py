"""All clients of a process share one TLS context; it believes nobody whose certificate it cannot check."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor

from shared.adapters.tls import tls_context


def test_there_is_one_context_and_it_checks_names_and_certificates() -> None:
    with ThreadPoolExecutor(8) as threads:
        (context,) = set(threads.map(lambda _: tls_context(), range(8)))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] > 0
