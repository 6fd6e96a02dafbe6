"""`run`: the whole product on one machine. Functions on loopback, a timer in place of Cloud Scheduler, and a puller."""

from __future__ import annotations

import shlex
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from shared.cli.local import Local, prepare
from shared.cli.processes import Child
from shared.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from types import FrameType

TIMER_SECONDS = 1.0
START_SECONDS = 30.0
_ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What `make run` passes on: REPO, BRANCH, PORT, DATA, and whether GITHUB is `stand-in`."""

    repo: str
    branch: str
    port: int
    data: Path
    github: bool = False


def run(options: Options) -> int:
    """Start everything, show what to try, and end everything on Ctrl-C or SIGTERM.

    Args:
        options: What to serve, where.

    Returns:
        0 after Ctrl-C, 1 when one of the processes died by itself.

    Raises:
        ConfigError: the repository, the port or the data folder cannot be used.
    """
    for port in (options.port, options.port + 1) if options.github else (options.port,):
        _check_port(port)
    local = prepare(
        repo=options.repo, branch=options.branch, port=options.port, data=options.data, github=options.github
    )
    stop = threading.Event()
    _on_signal(stop)
    children: list[Child] = []
    try:
        if local.github:
            children.append(_github(local))
            _wait_until_up(local.github_url, children[-1], stop)
        children.append(_functions(local))
        _wait_until_up(f"{local.url}/health", children[-1], stop)
        children.append(_puller(local))
        print(first_screen(local), flush=True)
        return _serve(local, children, stop)
    finally:
        for child in reversed(children):
            child.ask_to_stop()
        for child in children:
            child.wait()
        print("Stopped.", flush=True)


def first_screen(local: Local) -> str:
    """Say what runs, where the keys are, and what to try next."""
    push = "" if "://" in local.source else f"\n    {_how_to_push(local)}"
    github = f"\n  GitHub      {local.github_url}   (a stand-in; its switches: {local.github_url}/_control/switches)"
    return f"""
skill-sync is running.

  functions   {local.url}   (health: {local.url}/health){github if local.github else ""}
  dashboard   {local.url}/   (any user name; the password is MANUAL_SYNC_API_KEY)
  repository  {local.source}{f" ({local.branch})" if local.branch else ""}
  skills      {local.skills}
  keys        {local.data / "keys.env"}   (x-api-key is MANUAL_SYNC_API_KEY)
  logs        {local.data / "log"}

  Try next:{push}
    . {local.data / "keys.env"}
    curl -s {local.url}/health
    curl -s -H "x-api-key: $MANUAL_SYNC_API_KEY" {local.url}/api/skills
    curl -s -H "x-api-key: $MANUAL_SYNC_API_KEY" -d '{{"to": "1-1"}}' {local.url}/api/rollback

  Ctrl-C ends everything.
"""


def _how_to_push(local: Local) -> str:
    push = "make push" if local.data == Path(".data").resolve() else f"make push DATA={shlex.quote(str(local.data))}"
    if local.github:
        return f"commit something there, and push it to the stand-in with: {push}"
    return f"commit something there; it arrives by the timer, or at once with: {push}"


def _serve(local: Local, children: list[Child], stop: threading.Event) -> int:
    headers = {"x-api-key": local.keys["MANUAL_SYNC_API_KEY"]}
    with httpx.Client(base_url=local.url, headers=headers, timeout=60.0) as client:
        while not stop.is_set():
            started = time.monotonic()
            dead = next((child for child in children if child.exit_code is not None), None)
            if dead is not None:
                print(f"The {dead.name} ended with {dead.exit_code}; see {dead.log}", file=sys.stderr)
                return 1
            try:
                client.post("/api/poll")
            except httpx.HTTPError as error:
                print(f"  timer     poll failed: {type(error).__name__}", flush=True)
            stop.wait(max(0.05, TIMER_SECONDS - (time.monotonic() - started)))
    return 0


def _functions(local: Local) -> Child:
    # The bare command, from another folder, as the cloud's buildpack starts it: what works here works there.
    command = [
        str(Path(sys.executable).parent / "functions-framework"),
        *("--source", str(_ROOT / "functions" / "main.py")),
        *("--target", "app", "--host", "127.0.0.1", "--port", str(local.port)),
    ]
    return Child("functions", command, local.environment(), local.data / "log" / "functions.log")


def _github(local: Local) -> Child:
    # It belongs to the tests; the product only starts it for people who want to play with webhooks at home.
    command = [
        *(sys.executable, "-m", "tests.github"),
        *("--root", str(local.data / "github"), "--port", str(local.port + 1)),
        *("--repo", f"{local.owner}/{local.name}", "--from", local.source, "--branch", local.branch),
        *("--webhook-url", f"{local.url}/webhook/github", "--secret-file", str(local.data / "keys.env")),
    ]
    environment = {**local.environment(), "PYTHONPATH": str(_ROOT)}
    return Child("GitHub", command, environment, local.data / "log" / "github.log")


def _puller(local: Local) -> Child:
    environment = {**local.environment(), "PYTHONPATH": str(_ROOT)}
    return Child("puller", [sys.executable, "-m", "shared.puller"], environment, local.data / "log" / "puller.log")


def _wait_until_up(url: str, child: Child, stop: threading.Event) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and child.exit_code is None and not stop.is_set():
        try:
            httpx.get(url, timeout=2.0)
        except httpx.HTTPError:
            stop.wait(0.05)
        else:
            return
    if not stop.is_set():
        raise UnavailableError("START_FAILED", f"{child.name} did not come up; see {child.log}")


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise ConfigError(
                "PORT_IN_USE", f"port {port} cannot be used ({error}); choose another with PORT="
            ) from None


def _on_signal(stop: threading.Event) -> None:
    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
