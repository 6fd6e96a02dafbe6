"""`python -m shared.puller`: follows the release function and keeps the skills folder as the live manifest has it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from typing import TYPE_CHECKING

from shared import log
from shared.config import current_settings
from shared.errors import ConfigError, ConflictError, DeniedError, NotFoundError, UnavailableError, UnverifiedError
from shared.log.foreign import catch_loggers, catch_uncaught
from shared.puller.build import ask_to_resume, compare, open_client, open_follower
from shared.puller.clock import Bell, StoppableClock
from shared.puller.loop import Loop, look
from shared.puller.owner import run_as_owner
from shared.puller.report import Result
from shared.puller.server import StatusServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from shared.config import Settings

EXIT_REFUSED = 1
EXIT_UNREACHABLE = 69
EXIT_LOCKED = 75
EXIT_CONFIG = 78
_EXITS = {
    Result.REFUSED: EXIT_REFUSED,
    Result.FAILED: EXIT_REFUSED,
    Result.HELD: EXIT_REFUSED,
    Result.UNREACHABLE: EXIT_UNREACHABLE,
}
_HELP = """exit codes: 0 current or installed (--once), answered (--check), as installed (--verify), asked for (--resume),
or ended by SIGTERM or SIGINT; 1 what is offered was refused, its install failed, or its proof (--once), or a file is not
as it was installed (--verify); 69 the release function cannot be reached or does not accept the key (--once, --check);
75 another puller holds this volume; 78 a setting is missing or wrong (named in the log)."""


def main(arguments: list[str] | None = None) -> int:
    """Run the puller.

    Args:
        arguments: What stands behind the program's name; None takes them from the process.

    Returns:
        The exit status, as `--help` tells.
    """
    parser = argparse.ArgumentParser(prog="python -m shared.puller", description=__doc__, epilog=_HELP)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--once", action="store_true", help="look at the pointer once and end")
    ways.add_argument(
        "--check", action="store_true", help="ask for the pointer with these settings, and change nothing"
    )
    ways.add_argument(
        "--resume",
        action="store_true",
        help="take everything back under care: what was put back by hand, and a deployment that failed here; done by the "
        "puller that runs, or by the next one",
    )
    ways.add_argument(
        "--verify", action="store_true", help="compare the volume with what was installed, and change nothing"
    )
    options = parser.parse_args(arguments)
    catch_loggers()
    catch_uncaught()
    stop = threading.Event()
    bell = Bell(stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopper(stop, bell))
    try:
        return _run(options, current_settings(), stop, bell)
    except ConfigError as error:
        log.error("The puller cannot start", code=error.code, detail=error.message)
        return EXIT_CONFIG
    except ConflictError as error:
        log.error("Another puller holds this volume", code=error.code, detail=error.message)
        return EXIT_LOCKED
    except OSError as error:
        log.error("The volume cannot be used", code=f"OS_{error.errno}", detail=str(error))
        return EXIT_REFUSED


def _run(options: argparse.Namespace, settings: Settings, stop: threading.Event, bell: Bell) -> int:
    if options.check:
        return _check(settings, stop)
    if options.verify:
        return _verify(settings)
    if options.resume:
        run_as_owner(settings.skills_dir)
        return _resume(settings)
    run_as_owner(settings.skills_dir)
    return _once(settings, stop) if options.once else _forever(settings, stop, bell)


def _once(settings: Settings, stop: threading.Event) -> int:
    with open_follower(settings, StoppableClock(stop), stop) as follower:
        return _EXITS.get(look(follower), 0)


def _check(settings: Settings, stop: threading.Event) -> int:
    try:
        with open_client(settings, StoppableClock(stop)) as client:
            client.current(None)
    except NotFoundError:
        log.info("The release function answers; nothing is deployed yet", url=settings.release_url)
    except (UnavailableError, DeniedError, UnverifiedError) as error:
        log.error("The release function gives nothing", code=error.code, detail=error.message)
        return EXIT_UNREACHABLE
    else:
        log.info("The release function answers", url=settings.release_url)
    return 0


def _verify(settings: Settings) -> int:
    differences = compare(settings)
    for path, what in differences:
        log.warning("A file is not as it was installed", path=path, what=what)
    if not differences:
        log.info("The volume is as it was installed", folder=settings.skills_dir)
    return EXIT_REFUSED if differences else 0


def _resume(settings: Settings) -> int:
    ask_to_resume(settings)
    log.info("The puller resumes at its next look", folder=settings.skills_dir)
    return 0


def _forever(settings: Settings, stop: threading.Event, bell: Bell) -> int:
    clock = StoppableClock(stop)
    status = None if settings.puller_port is None else StatusServer(settings.puller_port, clock, bell.ring)
    try:
        Loop(current_settings, clock, stop, status=status, pause=bell.wait).run(settings)
    finally:
        if status is not None:
            status.close()
    log.info("The puller ends")
    return 0


def _stopper(stop: threading.Event, bell: Bell) -> Callable[[int, FrameType | None], None]:
    def ask(_signal: int, _frame: FrameType | None) -> None:
        stop.set()
        bell.ring()

    return ask


if __name__ == "__main__":
    sys.exit(main())
