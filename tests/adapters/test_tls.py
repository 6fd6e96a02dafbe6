"""All clients of a process share one TLS context; it believes nobody whose certificate it cannot check."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.adapters.tls import prepare, tls_context

ROOT = Path(__file__).resolve().parents[2]


def test_there_is_one_context_and_it_checks_names_and_certificates() -> None:
    with ThreadPoolExecutor(8) as threads:
        (context,) = set(threads.map(lambda _: tls_context(), range(8)))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] > 0


def test_what_was_prepared_is_the_one_that_is_used() -> None:
    prepare()
    assert tls_context() is tls_context()


@pytest.mark.parametrize("call", ["tls.tls_context()", "tls.prepare(); tls.tls_context()"])
def test_certificates_that_cannot_be_read_are_told_to_whoever_needs_them(call: str, tmp_path: Path) -> None:
    script = f"from shared.adapters import tls\ntry: {call}\nexcept OSError as error: print(type(error).__name__)"
    environment = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "nothing.pem")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["FileNotFoundError"], "")
