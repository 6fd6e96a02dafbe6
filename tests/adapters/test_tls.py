"""All clients of a process share one TLS context, which believes nobody whose certificate it cannot check."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.adapters.tls import WHOLE, new_context, tls_context

ROOT = Path(__file__).resolve().parents[2]
HOST = "storage.example"


def paths(*, cafile: Path | None = None, capath: Path | None = None, usual: str = "/nowhere") -> ssl.DefaultVerifyPaths:
    found = (None if path is None else str(path) for path in (cafile, capath))
    return ssl.DefaultVerifyPaths(*found, "SSL_CERT_FILE", usual, "SSL_CERT_DIR", "/nowhere")


def folder_of(tmp_path: Path, count: int) -> Path:
    """A folder with so many certificates, which nobody has signed anything with."""
    folder = tmp_path / f"certs-{count}"
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:08x}.0").touch()
    (folder / "README").touch()
    return folder


def shakes_hands(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> bool:
    """Whether a client that wants this host believes that server; in memory."""
    one, other = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(one, other, server_hostname=host),
        server.wrap_bio(other, one, server_side=True),
    ]
    for _ in range(10):
        done = 0
        for side in sides:
            try:
                side.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
        if done == len(sides):
            return True
    raise AssertionError("the handshake does not end")


def own_server(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server whose certificate is its own authority, and that certificate's file."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    built = built.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    built = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
    built = built.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    file = folder / "own.pem"
    file.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, folder / "key.pem")
    return context, file


def test_there_is_one_context_and_it_checks_names_and_certificates() -> None:
    with ThreadPoolExecutor(8) as threads:
        (context,) = set(threads.map(lambda _: tls_context(), range(8)))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="only openssl tells a certificate's hash")
def test_an_authority_in_the_machines_folder_is_read_when_it_is_needed(tmp_path: Path) -> None:
    server, certificate = own_server(tmp_path)
    folder = folder_of(tmp_path, WHOLE)
    stranger = new_context(paths(capath=folder))
    told = subprocess.run(
        ["openssl", "x509", "-subject_hash", "-noout", "-in", certificate], capture_output=True, text=True, check=True
    )
    shutil.copy(certificate, folder / f"{told.stdout.strip()}.0")
    context = new_context(paths(capath=folder))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] == 0, "nothing is read before"
    assert shakes_hands(context, server, HOST)
    assert not shakes_hands(context, server, "another.example")
    (folder / f"{told.stdout.strip()}.0").unlink()
    assert not shakes_hands(stranger, server, HOST)


@pytest.mark.parametrize("count", [0, 1, WHOLE - 1])
def test_a_machine_that_does_not_know_the_public_authorities_is_not_relied_on(tmp_path: Path, count: int) -> None:
    context = new_context(paths(capath=folder_of(tmp_path, count)))
    assert context.cert_store_stats()["x509_ca"] >= WHOLE, "httpx brings them"


def test_a_folder_that_cannot_be_read_is_not_relied_on(tmp_path: Path) -> None:
    context = new_context(paths(capath=tmp_path / "nothing"))
    assert context.cert_store_stats()["x509_ca"] >= WHOLE


def test_a_file_that_somebody_has_named_goes_before_the_machines_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, certificate = own_server(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = new_context(paths(cafile=certificate, capath=folder_of(tmp_path, WHOLE)))
    assert context.cert_store_stats()["x509_ca"] == 1


def test_a_bundle_where_the_machine_keeps_it_is_nobodys_choice(tmp_path: Path) -> None:
    _, certificate = own_server(tmp_path)
    found = paths(cafile=certificate, capath=folder_of(tmp_path, WHOLE), usual=str(certificate))
    assert new_context(found).cert_store_stats()["x509_ca"] == 0


def test_certificates_that_cannot_be_read_are_told_to_whoever_needs_them(tmp_path: Path) -> None:
    script = (
        "from shared.adapters import tls\ntry: tls.tls_context()\nexcept OSError as error: print(type(error).__name__)"
    )
    nothing = {"SSL_CERT_FILE": str(tmp_path / "nothing.pem"), "SSL_CERT_DIR": str(tmp_path / "nothing")}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **nothing}, capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["FileNotFoundError"], "")
