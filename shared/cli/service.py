"""The commands that talk to the functions: their arguments and help, and how each of them ends."""

from __future__ import annotations

import argparse
import io
import os
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from shared.cli import acting, asking, check_view, doctor, rotate, webhook_setup
from shared.cli.client import Client
from shared.cli.exits import Exit, epilog, exit_of
from shared.cli.refusals import FailedChecksError
from shared.cli.screen import BAD, DOUBTFUL, Screen, line, shown
from shared.config import current_settings
from shared.core.names import parse_deployment
from shared.errors import ConfigError, InputError, PausedError, SkillSyncError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

SETTINGS = """settings:
  SKILL_SYNC_URL         where the functions answer, such as https://HOST
  MANUAL_SYNC_API_KEY    the operators' key, or MANUAL_SYNC_API_KEY_FILE; of two lines the first counts"""
MAX_LISTED = 1000

COMMANDS: dict[str, tuple[Callable[[Client, Screen, argparse.Namespace], Exit], str, str]] = {
    "status": (
        asking.status,
        "health at a glance, and the next step where one is needed",
        (
            "Shows the health, what is live, the services, the pullers and the key figures. Without a key too, but then it\n"
            "cannot say what to do next. Scripts: `status` ends with 0 healthy, 1 degraded, 2 unhealthy."
        ),
    ),
    "history": (
        asking.history,
        "deployments, newest first",
        (
            "Lists deployments. A status of `rejected` means that only what is withheld changed.\n\n"
            "  history --limit 100\n  history --before 1-40      the ones before that"
        ),
    ),
    "show": (
        asking.show,
        "one deployment: what it changed, what it withheld and why",
        (
            "Shows a deployment with each skill that it published or removed, and the findings that kept others out:\n"
            "code, file and line, and what to change.\n\n  show 1-42"
        ),
    ),
    "diff": (
        asking.diff,
        "what lies between two deployments",
        (
            "Shows each skill that comes, changes or goes from one deployment to another.\n\n"
            "  diff 1-40 1-42\n  diff 1-40            from what is live to 1-40"
        ),
    ),
    "withheld": (
        asking.withheld,
        "everything that is withheld, and why",
        (
            "Lists the skills whose version at the branch head is not published, with reason and findings. The last good\n"
            "version of each stays live, where there was one."
        ),
    ),
    "sync": (
        acting.sync,
        "sync with the branch head now",
        (
            "Lets what is live agree with the branch head, as a webhook or a poll does. Doing it twice changes nothing.\n"
            "Where it is not finished in time (25 s) the next poll finishes it, and the status is 75.\n\n"
            "  sync --dry-run      only say what it would do; nothing is written anywhere"
        ),
    ),
    "release": (
        acting.release,
        "let withheld skills go",
        (
            "Releases the version of a skill that is withheld now. The rules judge it again: what they reject stays withheld,\n"
            "and the status is 1.\n\n  release deploy-helper code-review"
        ),
    ),
    "rollback": (
        acting.rollback,
        "make an earlier deployment's skills live again",
        (
            "Shows what would change, skill by skill, asks, and does it. Newer versions are held back until the skill itself\n"
            "changes or is released, so polls and unrelated pushes do not undo it. GitHub is not asked.\n\n"
            "  rollback 1-40\n  rollback 1-40 --dry-run    look only\n  rollback 1-40 --yes        do not ask"
        ),
    ),
    "rotate": (
        rotate.rotate,
        "replace a credential step by step, or see when each is due",
        (
            "Replaces a credential while the old value is still accepted, one credential at a time:\n\n"
            "  rotate status [NAME]       what is known of all credentials, or of one\n"
            "  rotate begin NAME          open it; then put the new value in, as the first line, and switch its users\n"
            "  rotate verify NAME         try a made-up value, which must be refused, and the new one\n"
            "  rotate finish NAME         close it, once nobody uses the old value any more; then remove the old line\n"
            "  rotate abort NAME          give it up; the old value stays\n"
            "  rotate calendar            when each is due; --ics for a calendar, --crontab for cron\n\n"
            "With --value-file FILE, `verify` also tries the new value from here; only its fingerprint, the first 8 hex\n"
            "digits of its SHA-256, is sent beside that. A puller's key is tried at RELEASE_URL, where it is set."
        ),
    ),
    "webhook-setup": (
        webhook_setup.webhook_setup,
        "make or mend the repository's webhook, and prove it by a ping",
        (
            "Makes the webhook of GITHUB_OWNER/GITHUB_REPO, or mends what differs: address, JSON, certificates checked,\n"
            "pushes only, active, the secret. Then GitHub pings it, and the command waits until the ping has come in.\n"
            "The functions must take the secret first. The token needs Webhooks: read and write; it stays here.\n\n"
            "  webhook-setup --dry-run\n  webhook-setup --secret-file webhook-secret --token-file token"
        ),
    ),
    "doctor": (
        doctor.doctor,
        "what is wrong, and what to do about it",
        (
            "Looks at the settings here, the address, the clocks and the key, and lets the functions examine themselves. It\n"
            "says what it can where they do not answer, or refuse the key. What is live stays as it is."
        ),
    ),
}


def add_service(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands' parsers."""
    added = {name: _added(commands, name, *COMMANDS[name][1:]) for name in COMMANDS}
    added["history"].add_argument("--limit", type=_limit, default=20, help="how many (default: %(default)s)")
    added["history"].add_argument("--before", type=_deployment, metavar="ID", help="only those before this deployment")
    added["show"].add_argument(
        "deployment", type=_deployment, metavar="ID", help="<epoch>-<seq>, as `history` lists it"
    )
    added["diff"].add_argument("older", type=_deployment, metavar="A", help="from this deployment")
    added["diff"].add_argument("newer", type=_deployment, metavar="B", nargs="?", help="to this one")
    added["sync"].add_argument("--dry-run", action="store_true", help="only say what it would do")
    added["release"].add_argument("skills", nargs="+", metavar="SKILL", help="a skill's id, as `withheld` lists it")
    added["rollback"].add_argument("deployment", type=_deployment, metavar="ID", help="the deployment to go back to")
    added["rollback"].add_argument("--yes", action="store_true", help="do it without being asked")
    added["rollback"].add_argument("--dry-run", action="store_true", help="only show what would change")
    rotate.add_arguments(added["rotate"])
    webhook_setup.add_arguments(added["webhook-setup"])


def run_service(options: argparse.Namespace, transport: httpx.BaseTransport | None = None) -> int:
    """Run one of the commands.

    Args:
        options: The parsed arguments.
        transport: What carries calls to the functions; None is the network.

    Returns:
        The exit status, as `exits` lists them.
    """
    screen = Screen(as_json=options.json)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold what this terminal's encoding does not
    try:
        try:
            client = Client(current_settings(), transport)
        except ConfigError as error:
            if options.command != "doctor":
                raise
            return int(doctor.unconfigured(screen, error))
        with closing(client):
            return int(COMMANDS[options.command][0](client, screen, options))
    except SkillSyncError as error:
        _tell(screen, error)
        return int(exit_of(error))
    except KeyboardInterrupt:
        screen.aside(line("interrupted: what was asked of the functions may still happen", style=DOUBTFUL))
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; the interpreter must not fail at flushing the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.FAILED)


def _tell(screen: Screen, error: SkillSyncError) -> None:
    screen.aside(line("error:", error.message, f"[{shown(error.code)}]", style=BAD))
    document: dict[str, object] = {"error": shown(error.message), "code": shown(error.code)}
    if isinstance(error, PausedError):
        screen.aside(line("reasons:", ", ".join(error.reasons)), line("next:", error.next_action, style=DOUBTFUL))
        document |= {"reasons": list(error.reasons), "next_action": error.next_action}
    if isinstance(error, FailedChecksError):
        screen.aside(*check_view.checks(error.checks))
        document |= {"checks": list(error.checks)}
    if screen.as_json:
        screen.result(document)


def _added(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, description: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=what,
        description=description,
        epilog=f"{SETTINGS}\n\n{epilog()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    return parser


def _deployment(text: str) -> str:
    try:
        parse_deployment(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(error.message) from None
    return text


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LISTED):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MAX_LISTED}")
    return int(text)
