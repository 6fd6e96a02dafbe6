"""`python -m tests.github`: the stand-in for GitHub as a process, for people who want to play with webhooks at home.

It serves one repository on 127.0.0.1 and sends a signed webhook for each push to it; `/_control/` turns its switches.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.github.control import Control
from tests.github.deliveries import Deliveries
from tests.github.events import events_of, ping
from tests.github.server import GitHubStandIn
from tests.repos import git_environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.github.hook import Delivery
    from tests.github.server import RefChange

_SECRET = "GITHUB_WEBHOOK_SECRET"


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        arguments: What stands behind the program's name; None takes them from the process.

    Returns:
        The exit status: 0 ended by a signal, 1 it could not start and said why, 2 the arguments are wrong.
    """
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        secret = _secret(options.secret_file)
        bare = options.root / f"{options.repo}.git"
        if not bare.exists():
            mirror(options.source, bare, options.branch)
        _serve(options, bare, secret, stop)
    except (OSError, LookupError, subprocess.CalledProcessError) as error:
        print(f"error: {_why(error)}", file=sys.stderr)
        return 1
    return 0


def mirror(source: Path, bare: Path, branch: str) -> None:
    """Make a bare repository with the branches and tags of another.

    Args:
        source: The other repository.
        bare: Where; complete or absent, also after a kill.
        branch: The default branch; empty for the one that is checked out there.

    Raises:
        subprocess.CalledProcessError: git says why on `stderr`.
    """
    head = f"refs/heads/{branch}" if branch else _git(source, "symbolic-ref", "HEAD")
    draft = bare.with_suffix(".new")
    draft.mkdir(parents=True, exist_ok=True)
    _git(draft, "init", "--quiet", "--bare")
    _git(
        draft,
        "fetch",
        "--quiet",
        "--prune",
        str(source.absolute()),
        "+refs/heads/*:refs/heads/*",
        "+refs/tags/*:refs/tags/*",
    )
    _git(draft, "symbolic-ref", "HEAD", head)
    draft.rename(bare)


def _serve(options: argparse.Namespace, bare: Path, secret: str, stop: threading.Event) -> None:
    with (
        Deliveries(options.repo, report=_say_delivery) as deliveries,
        GitHubStandIn(options.root, port=options.port) as github,
    ):
        github.deliveries = deliveries
        deliveries.make_ping = lambda hook: ping(hook, bare, options.repo)
        github.switches.latency_seconds = options.latency
        if options.token_file is not None:
            github.token = options.token_file.read_text(encoding="utf-8").strip()
        deliveries.add_hook(options.webhook_url, secret)

        def announce(changes: Sequence[RefChange]) -> None:
            for change in changes:
                forced = " (forced)" if change.forced else ""
                print(f"push      {change.ref} {change.before[:12]}...{change.after[:12]}{forced}", flush=True)
            for event in events_of(changes, bare, options.repo):
                deliveries.enqueue(event)

        github.on_push = announce
        github.control = Control(github.switches, deliveries, bare).answer
        print(f"GitHub stand-in is ready on {github.url('')}", flush=True)
        stop.wait()


def _say_delivery(line: Delivery) -> None:
    again = " again" if line.redelivery else ""
    print(
        f"delivery  {line.guid} {line.event.name}{again}: {line.status_code} {line.status}, {line.duration} s",
        flush=True,
    )


def _secret(path: Path) -> str:
    """Read the webhook's secret from a file of lines NAME=VALUE."""
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == _SECRET and value.strip():
            return value.strip()
    raise LookupError(f"{path} has no line {_SECRET}=...")


def _git(folder: Path, *args: str) -> str:
    command = ["git", "-C", str(folder), *args]
    return subprocess.run(command, env=git_environment(), capture_output=True, text=True, check=True).stdout.strip()


def _why(error: Exception) -> str:
    return error.stderr.strip() if isinstance(error, subprocess.CalledProcessError) else str(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.github", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of the bare repositories")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 for any")
    parser.add_argument("--repo", required=True, help="<owner>/<name>")
    parser.add_argument("--from", dest="source", type=Path, required=True, help="the repository to begin with")
    parser.add_argument("--branch", default="", help="default branch (default: the one that is checked out there)")
    parser.add_argument("--webhook-url", required=True, help="where pushes are announced")
    parser.add_argument("--secret-file", type=Path, required=True, help=f"file with a line {_SECRET}=...")
    parser.add_argument("--token-file", type=Path, help="file with the token that every request must bring")
    parser.add_argument("--latency", type=float, default=0.0, help="how long every answer takes, in seconds")
    return parser


if __name__ == "__main__":
    sys.exit(main())
