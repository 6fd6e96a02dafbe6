"""`rotate`: one credential is replaced by another, step by step, and nobody is locked out meanwhile.

Which step is allowed is for the functions to say; what can be tried from outside is tried here first.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from shared.cli import check_view, rotate_view
from shared.cli.exits import Exit
from shared.cli.refusals import FailedChecksError
from shared.cli.rotate_calendar import calendar
from shared.cli.rotate_edge import edge_checks
from shared.cli.rotate_value import WITHOUT_VALUE, check_fingerprint, fingerprint_of, read_value
from shared.cli.screen import items
from shared.core.credentials import failed, kind_of
from shared.errors import InputError, NotFoundError

if TYPE_CHECKING:
    import argparse

    from shared.cli.client import Client, Document
    from shared.cli.screen import Screen

ACTIONS = ("begin", "verify", "finish", "abort", "status", "calendar")
PATH = "/api/rotation"
_CHANGING = ACTIONS[:4]
_API_KEY = "MANUAL_SYNC_API_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="the credential, as `rotate status` lists it")
    parser.add_argument("--fingerprint", metavar="FP", help="what the new value must be: 8 hex digits")
    parser.add_argument(
        "--value-file", type=Path, metavar="FILE", help="a file that holds the new value alone; it is never printed"
    )
    parser.add_argument("--ics", action="store_true", help="calendar: print an iCalendar file")
    parser.add_argument("--crontab", action="store_true", help="calendar: print lines for a crontab")


def rotate(client: Client, screen: Screen, options: argparse.Namespace) -> Exit:
    """Take one step of a rotation, or tell how all stand."""
    _check(options)
    if options.action == "calendar":
        return calendar(client, screen, options)
    if options.action == "status":
        return _status(client, screen, options.name)
    value = None if options.value_file is None else read_value(options.value_file)
    asked = _asked(options, value)
    return _verify(client, screen, asked, value) if options.action == "verify" else _step(client, screen, asked)


def _check(options: argparse.Namespace) -> None:
    """Refuse arguments that do not belong together, before anybody is asked."""
    if options.name is not None:
        kind_of(options.name)
    action = options.action
    faults = {
        f"rotate {action} needs the NAME of a credential": action in _CHANGING and options.name is None,
        "rotate calendar is about all credentials: leave NAME out": action == "calendar" and options.name is not None,
        "--ics and --crontab belong to `calendar`": action != "calendar" and (options.ics or options.crontab),
        "say one of --ics, --crontab and --json": (options.ics, options.crontab, options.json).count(True) > 1,
        "--fingerprint and --value-file belong to begin, verify, finish and abort": action not in _CHANGING
        and (options.fingerprint is not None or options.value_file is not None),
        f"{options.name}: say --fingerprint in place of --value-file": options.value_file is not None
        and options.name in WITHOUT_VALUE,
    }
    for fault, is_there in faults.items():
        if is_there:
            raise InputError("ARGUMENTS_INVALID", fault)


def _asked(options: argparse.Namespace, value: str | None) -> Document:
    asked: Document = {"action": options.action, "name": options.name}
    told = None if options.fingerprint is None else check_fingerprint(options.fingerprint)
    found = None if value is None else fingerprint_of(options.name, value)
    if told is not None and found is not None and told != found:
        raise InputError(
            "FINGERPRINT_DIFFERS", f"--fingerprint is {told}; that of the value in --value-file is {found}"
        )
    return asked if found is None and told is None else {**asked, "fingerprint": found or told}


def _step(client: Client, screen: Screen, asked: Document) -> Exit:
    with screen.busy(f"Asking for {asked['action']}"):
        _, document = client.post(PATH, asked)
    screen.result(document, *rotate_view.outcome(document, asked["name"]))
    return Exit.DONE


def _verify(client: Client, screen: Screen, asked: Document, value: str | None) -> Exit:
    """Try from here, and let the functions try only then; the operators' key is proved by calling with it."""
    name = str(asked["name"])
    if name == _API_KEY and value is None:
        client.settings.need(_API_KEY)
        value = client.settings.api_keys[0]
        asked = {"fingerprint": fingerprint_of(name, value), **asked}
    with screen.busy(f"Verifying {name}"):
        tried = edge_checks(client, name, value)
        first: list[object] = [check_view.described(check) for check in tried]
        if failed(tried):
            raise FailedChecksError(
                "ROTATION_PROBE_FAILED", f"{name} does not hold from here; the functions were not asked", checks=first
            )
        document = _verified(client, asked, value if name == _API_KEY else None, first)
    screen.result(document, *rotate_view.outcome(document, name))
    return Exit.DONE


def _verified(client: Client, asked: Document, key: str | None, first: list[object]) -> Document:
    try:
        if key is None:
            _, document = client.post(PATH, asked)
        else:
            with closing(client.under(key)) as caller:
                _, document = caller.post(PATH, asked)
    except FailedChecksError as error:
        raise FailedChecksError(error.code, error.message, checks=[*first, *error.checks]) from None
    return {**document, "checks": [*first, *items(document, "checks")]}


def _status(client: Client, screen: Screen, name: str | None) -> Exit:
    document = client.get(PATH)
    if name is None:
        screen.result(document, *rotate_view.overview(document))
        return Exit.DONE
    rows = [each for each in items(document, "credentials") if isinstance(each, dict) and each.get("name") == name]
    if not rows:
        raise NotFoundError("CREDENTIAL_UNKNOWN", f"the functions know no {name}: `rotate status` lists what they know")
    screen.result({**document, "credentials": rows}, *rotate_view.credential(document, rows[0]))
    return Exit.DONE
