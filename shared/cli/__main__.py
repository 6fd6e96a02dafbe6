"""`python -m shared.cli`: the operator's and developer's command.

`status`, `history`, `show`, `diff`, `withheld`, `sync`, `release`, `rollback`, `rotate`, `webhook-setup`, `doctor` and
`operator dr status` talk to the functions (`SKILL_SYNC_URL`, `MANUAL_SYNC_API_KEY`) and end as `exits` lists it; the others
end with 0 done, 1 failed. Wrong arguments end with 64.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from shared.cli.announce import announce
from shared.cli.arguments import Parser
from shared.cli.exits import Exit, epilog, exit_of
from shared.cli.gc import add_gc, run_gc
from shared.cli.new_keys import add_keys, run_keys
from shared.cli.operator import STATUS, add_operator, run_operator
from shared.cli.output import Output
from shared.cli.run import Options, run
from shared.cli.service import COMMANDS, SETTINGS, add_service, run_service
from shared.errors import SkillSyncError
from shared.log.foreign import catch_loggers

if TYPE_CHECKING:
    import httpx

STAND_IN = "stand-in"


def main(arguments: list[str] | None = None, *, transport: httpx.BaseTransport | None = None) -> int:
    """Run one command.

    Args:
        arguments: What stands behind the program's name; None takes them from the process.
        transport: What carries calls to the functions; None is the network.

    Returns:
        The exit status, as `exits` lists them.
    """
    options = _parser().parse_args(arguments)
    catch_loggers("stderr")  # standard output is for what a command prints
    if options.command in COMMANDS:
        return run_service(options, transport)
    # `validate --json` is one of its forms.
    output = Output(as_json=getattr(options, "json", getattr(options, "format", "") == "json"))
    try:
        return run_gc(options) if options.command == "gc" else _run_here(options, output, transport)
    except SkillSyncError as error:
        output.refuse(error)
        asks_functions = options.command == "operator" and options.operation == STATUS
        return exit_of(error) if options.command == "gc" or asks_functions else Exit.FAILED


def _run_here(options: argparse.Namespace, output: Output, transport: httpx.BaseTransport | None) -> int:
    if options.command == "run":
        return run(
            Options(
                repo=options.repo,
                branch=options.branch,
                port=options.port,
                data=options.data.resolve(),
                github=options.github == STAND_IN,
            )
        )
    if options.command == "validate":
        return _validate(options)
    if options.command == "operator":
        return run_operator(options, output, transport)
    if options.command == "keys":
        return run_keys(options, output)
    return announce(options.data.resolve(), output)


def _validate(options: argparse.Namespace) -> int:
    from shared.cli.validate import Request, run_validate  # noqa: PLC0415 - tables and rules are loaded only for this

    return run_validate(
        Request(
            path=options.path,
            form=options.format,
            root=options.root,
            version_policy=options.version_policy,
            max_skill_file_bytes=options.max_skill_size,
        )
    )


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = Parser(
        prog="python -m shared.cli",
        description=__doc__,
        epilog=f"{SETTINGS}\n\n{epilog()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    local = commands.add_parser("run", help="do the whole job on this machine: functions, timer and puller")
    local.add_argument("--repo", default="", help="path or URL of a git repository (default: a sample is created)")
    local.add_argument("--branch", default="", help="branch to follow (default: the repository's default branch)")
    local.add_argument("--port", type=int, default=8080, help="port on 127.0.0.1 (default: %(default)s)")
    local.add_argument(
        "--github",
        choices=["", STAND_IN],
        default="",
        help="put a stand-in for GitHub between the repository and the functions: REST API, git and webhooks",
    )
    push = commands.add_parser("push", help="announce the branch head to a running `run`, as GitHub's webhook would")
    push.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    check = commands.add_parser(
        "validate", help="judge a local folder by the rules; ends with 1 when a skill is kept out"
    )
    check.add_argument("path", type=Path, help="folder of a repository of skills")
    check.add_argument("--format", choices=("table", "json", "sarif", "github"), default="table")
    check.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    check.add_argument("--root", default="", help="folder to publish, as SKILLS_ROOT (default: all of it)")
    check.add_argument("--version-policy", choices=("strict", "declared", "derived"), default="derived")
    check.add_argument("--max-skill-size", type=int, default=102_400, help="bytes (default: %(default)s)")
    add_operator(commands)
    add_keys(commands)
    add_service(commands)
    add_gc(commands)
    for command in (local, push):
        command.add_argument(
            "--data", type=Path, default=Path(".data"), help="where all state is kept (default: %(default)s)"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
