"""The operator's commands that only ask: `status`, `history`, `show`, `diff`, `withheld`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from shared.cli import deployment_view
from shared.cli.exits import Exit
from shared.cli.health_view import glance
from shared.cli.screen import DOUBTFUL, QUIET, line, part, shown
from shared.errors import ConflictError, SkillSyncError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from shared.cli.client import Client, Document
    from shared.cli.screen import Screen

MAX_PAGES = 200
_DEPLOYMENTS_PAGE = 50
_SKILLS_PAGE = 200
_ATTEMPTS = 3
_BY_HEALTH = {"healthy": Exit.DONE, "degraded": Exit.FAILED, "unhealthy": Exit.UNHEALTHY}


def status(client: Client, screen: Screen, _: argparse.Namespace) -> Exit:
    """Show the health, and what to do next where something is to be done."""
    document = client.health()
    # With --json it is what the functions said, and nothing of ours; nobody is asked a second time for it.
    screen.result(document, *([] if screen.as_json else [*glance(document, client.address), *_next(client, document)]))
    return _BY_HEALTH.get(str(document.get("status")), Exit.FAILED)


def history(client: Client, screen: Screen, options: argparse.Namespace) -> Exit:
    """List deployments, newest first."""
    found: list[object] = []
    before = options.before
    while len(found) < options.limit:
        size = min(_DEPLOYMENTS_PAGE, options.limit - len(found))
        page = client.get("/api/deployments", before=before, limit=size)
        listed, following = page.get("deployments"), page.get("next")
        found += listed if isinstance(listed, list) else []
        if not isinstance(following, str) or following == before:
            before = None
            break
        before = following
    older = [line("older ones: history --before", before, style=QUIET)] if before else []
    screen.result({"deployments": found, "next": before}, deployment_view.history(found), *older)
    return Exit.DONE


def show(client: Client, screen: Screen, options: argparse.Namespace) -> Exit:
    """Describe one deployment."""
    document = client.get(f"/api/deployments/{options.deployment}")
    screen.result(document, *deployment_view.deployment(document))
    return Exit.DONE


def diff(client: Client, screen: Screen, options: argparse.Namespace) -> Exit:
    """Compare two deployments; `diff A` compares what is live with A."""
    ends = {"from": options.older, "to": options.newer} if options.newer else {"to": options.older}
    document = client.get("/api/diff", **ends)
    screen.result(document, *deployment_view.difference(document))
    return Exit.DONE


def withheld(client: Client, screen: Screen, _: argparse.Namespace) -> Exit:
    """List everything that is withheld."""
    found = _all_withheld(client)
    held = part(found, "withheld")
    told = deployment_view.withheld(held) if held else [line("Nothing is withheld.")]
    screen.result(found, *told)
    return Exit.DONE


def _all_withheld(client: Client) -> Document:
    """Go through all pages; they are of one deployment, or another one came in between and they are read again."""
    for _ in range(_ATTEMPTS):
        held: Document = {}
        page = client.get("/api/skills", limit=_SKILLS_PAGE)
        first = page
        for _ in range(MAX_PAGES):
            held |= part(page, "withheld")
            after = page.get("next")
            if page.get("deploymentId") != first.get("deploymentId"):
                break
            if not isinstance(after, str):
                return {"deploymentId": first.get("deploymentId"), "commit": first.get("commit"), "withheld": held}
            page = client.get("/api/skills", limit=_SKILLS_PAGE, after=after)
    raise ConflictError("BUSY", "new deployments kept coming while the skills were listed; try again")


def _next(client: Client, document: Mapping[str, object]) -> Iterator[RenderableType]:
    if document.get("state") in {"READY", None}:
        return
    yield Text()
    if not client.has_key:
        yield line("next: set MANUAL_SYNC_API_KEY, and `status` says what to do", style=DOUBTFUL)
        return
    try:
        state, todo = client.get("/api/operational-state"), client.get("/api/dr-state").get("next_action")
    except SkillSyncError as error:
        yield line("next: not known,", error.message, f"[{shown(error.code)}]", style=DOUBTFUL)
        return
    deploys = "deployments go on" if state.get("deploys_allowed") else "nothing is deployed until this is done"
    yield line("next:", todo, f"({deploys})", style=DOUBTFUL)
