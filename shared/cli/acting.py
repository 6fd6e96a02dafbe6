"""The operator's commands that change what is live: `sync`, `release`, `rollback`. Each asks the functions once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.cli import deployment_view
from shared.cli.exits import Exit
from shared.cli.screen import DOUBTFUL, items, line, part
from shared.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from shared.cli.client import Client, Document
    from shared.cli.screen import Screen

_DEFERRED = 202


def sync(client: Client, screen: Screen, options: argparse.Namespace) -> Exit:
    """Let what is live agree with the branch head, and say what came of it; with --dry-run only what would."""
    if options.dry_run:
        with screen.busy("Asking what a sync would do"):
            _, document = client.post("/api/sync", {"dry_run": True})
        screen.result(document, *deployment_view.foretold(document))
        return Exit.DONE
    with screen.busy("Syncing with the branch head"):
        status, document = client.post("/api/sync", {})
    if status == _DEFERRED:
        screen.result(
            document, line("deferred: not finished in time; what was done stays, and the next poll finishes it")
        )
        return Exit.BUSY
    screen.result(document, *deployment_view.outcome(document))
    return Exit.DONE


def release(client: Client, screen: Screen, options: argparse.Namespace) -> Exit:
    """Let withheld skills go; the rules judge them again."""
    with screen.busy("Releasing"):
        _, document = client.post("/api/sync", {"release": options.skills})
    screen.result(document, *deployment_view.outcome(document))
    done = {*_names(document), *map(str, items(document, "removed"))}
    left = [skill for skill in options.skills if skill not in done]
    for skill in left:
        screen.aside(line("not released:", skill, "- still kept out by the rules, or not withheld: see `withheld`"))
    return Exit.FAILED if left else Exit.DONE


def rollback(client: Client, screen: Screen, options: argparse.Namespace) -> Exit:
    """Show what a rollback would change, and do it once that is confirmed."""
    planned = client.get("/api/diff", to=options.deployment)
    report = screen.aside if screen.as_json else lambda *shown: screen.result({}, *shown)
    report(*deployment_view.preview(planned))
    if deployment_view.is_idle(planned) or options.dry_run:
        report(line("Nothing was changed."))
        return _end(screen, planned, None, Exit.DONE)
    if not (options.yes or _is_confirmed(screen, options.deployment)):
        report(line("Not confirmed: nothing was changed."))
        return _end(screen, planned, None, Exit.FAILED)
    with screen.busy("Rolling back"):
        _, done = client.post("/api/rollback", {"to": options.deployment})
    report("", *deployment_view.outcome(done))
    if _is_other(planned, done):
        screen.aside(line("Another deployment came in between: what was done is not what was shown.", style=DOUBTFUL))
    return _end(screen, planned, done, Exit.DONE)


def _is_confirmed(screen: Screen, deployment: str) -> bool:
    answer = screen.answer(f'Type "{deployment}" to do this: ')
    if answer is None:
        raise InputError(
            "NOT_CONFIRMED", "there is no terminal to ask on: say --yes to roll back, or --dry-run to look only"
        )
    return answer == deployment


def _is_other(planned: Document, done: Document) -> bool:
    counts = part(planned, "counts")
    promised = (counts.get("published"), counts.get("removed"), counts.get("held_back"))
    listed = (_names(planned, "published"), items(planned, "removed"))
    came = (_names(done), items(done, "removed"))
    happened = (*map(len, came), len(items(done, "rejected")))
    # Of very many only the first are listed; their number is told all the same.
    return promised != happened or any(new[: len(old)] != old for old, new in zip(listed, came, strict=True))


def _names(document: Document, key: str = "skills") -> Sequence[object]:
    return [each.get("name") for each in items(document, key) if isinstance(each, dict)]


def _end(screen: Screen, planned: Document, done: Document | None, status: Exit) -> Exit:
    if screen.as_json:
        screen.result({"preview": planned, "outcome": done})
    return status
