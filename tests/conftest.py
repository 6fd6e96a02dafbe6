"""What holds for the whole suite: no test reaches a network, hypothesis is not hurried, contract suites end in a table.

Sockets to this machine itself and AF_UNIX stay open, for the suites that run real servers.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from shared.log import redaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _pytest.terminal import TerminalReporter

pytest_plugins = ["tests.neo4j.fixtures"]

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


_OUTCOMES = ("passed", "failed", "error", "xfailed", "skipped")


class NetworkBlockedError(RuntimeError):
    """A test tried to leave this machine. No OSError, so that no code of ours takes it for an outage and goes on."""


def _address(host: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = host.decode(errors="replace") if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _check_target(family: int, address: object) -> None:
    if family == socket.AF_UNIX:
        return
    host = address[0] if isinstance(address, tuple) and address else address
    found = _address(host)
    if host != "localhost" and (found is None or not found.is_loopback):
        raise NetworkBlockedError(f"tests stay on this machine, a socket was to go to {address!r}")


def _check_lookup(host: object) -> None:
    # Without a name, or with a number in its place, nobody is asked.
    if host not in {None, "", b"", "localhost", b"localhost"} and _address(host) is None:
        raise NetworkBlockedError(f"tests stay on this machine, a name was looked up: {host!r}")


def _guard_socket(patch: pytest.MonkeyPatch, name: str) -> None:
    original: Callable[..., Any] = getattr(socket.socket, name)

    def guarded(self: socket.socket, *args: Any) -> Any:  # noqa: ANN401 - passes on whatever it is given
        _check_target(self.family, args[-1])
        return original(self, *args)

    patch.setattr(socket.socket, name, guarded)


def _guard_lookup(patch: pytest.MonkeyPatch, name: str) -> None:
    original: Callable[..., Any] = getattr(socket, name)

    def guarded(host: object, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the same
        _check_lookup(host)
        return original(host, *args, **options)

    patch.setattr(socket, name, guarded)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            _guard_socket(patch, name)
        for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
            _guard_lookup(patch, name)
        yield


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log remembers secrets for the life of the process; a test's own are forgotten with it."""
    monkeypatch.setattr(redaction, "_known", redaction.KnownSecrets())


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    """Print each contract suite with its adapters, which its fixtures name in the property `adapter`."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for outcome in _OUTCOMES:
        for report in terminalreporter.stats.get(outcome, []):
            adapter = dict(getattr(report, "user_properties", ())).get("adapter")
            if adapter is not None:
                counts[Path(report.nodeid.split("::")[0]).stem.removeprefix("test_"), adapter, outcome] += 1
    rows = list(dict.fromkeys((suite, adapter) for suite, adapter, _ in counts))
    if rows:
        terminalreporter.section("contract suites")
    for suite, adapter in rows:
        told = [f"{counts[suite, adapter, word]} {word}" for word in _OUTCOMES if counts[suite, adapter, word]]
        terminalreporter.write_line(f"{suite:<18}{adapter:<24}{', '.join(told)}")
