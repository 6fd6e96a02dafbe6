"""`gc`: count the garbage in the store, and delete it when told to. What is garbage is `core.garbage`'s business."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from shared.adapters.clock import SystemClock
from shared.adapters.stores import open_store
from shared.adapters.threads import in_threads
from shared.cli.exits import Exit
from shared.config import current_settings, google_cloud
from shared.core.trust import first_trust
from shared.errors import ConfigError, UnverifiedError
from shared.service.collect import Reach, collect
from shared.service.context import Deadline
from shared.service.trust import walk

if TYPE_CHECKING:
    import argparse

    from shared.service.collect import Collected

SECONDS = 900.0
MOST_DELETED = 20_000

_ABOUT = """Find archives and manifests that are older than 30 days and named neither by the last 16 deployments nor by one
that was live within 30 days; delete them with --delete. Needs STORE_URI and TRUST_ANCHOR, and no key. Syncs and rollbacks
may run meanwhile. Records, events, trust and pauses are never deleted."""
_EXITS = f"""exit status: 0 counted, or all garbage is gone; {Exit.PAUSED} paused; {Exit.UNAVAILABLE} the store did not
answer, or GC_INCOMPLETE: a manifest that must be kept cannot be read, and nothing was deleted; {Exit.BUSY} some garbage is
left (--most, or {SECONDS / 60:.0f} minutes were over): run it again."""


def add_gc(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command and its arguments."""
    parser = commands.add_parser(
        "gc", help="count stored objects that nobody needs any more, or delete them", description=_ABOUT, epilog=_EXITS
    )
    parser.add_argument("--delete", action="store_true", help="delete them (default: only count)")
    parser.add_argument(
        "--most", type=int, default=MOST_DELETED, help="objects to delete at most (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--store", default="", help="default: STORE_URI")


def run_gc(options: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        The exit status, as `--help` tells.

    Raises:
        ConfigError: a setting is missing or wrong.
        SkillSyncError: as `collect`.
    """
    clock = SystemClock()
    found = collect(_reach(options, clock), Deadline(clock, SECONDS), delete=options.delete, most=max(0, options.most))
    print(_as_json(found, deletes=options.delete) if options.json else _as_text(found, deletes=options.delete))
    return Exit.BUSY if options.delete and found.left else 0


def _reach(options: argparse.Namespace, clock: SystemClock) -> Reach:
    settings = current_settings()
    settings.need("TRUST_ANCHOR", *([] if options.store else ["STORE_URI"]))
    store = open_store(options.store or str(settings.store_uri), google_cloud())
    try:
        pinned = first_trust(str(settings.trust_anchor).encode())
    except UnverifiedError as error:
        raise ConfigError("TRUST_ANCHOR_INVALID", error.message) from None
    trust, _ = walk(store, pinned)
    return Reach(store=store, trust=trust, clock=clock, together=in_threads)


def _as_json(found: Collected, *, deletes: bool) -> str:
    return json.dumps({**asdict(found), "left": found.left, "dry_run": not deletes}, indent=2)


def _as_text(found: Collected, *, deletes: bool) -> str:
    rest = f"{found.young} younger than 30 days, {found.garbage} garbage ({found.garbage_bytes} bytes)"
    done = f"deleted {found.deleted}, skipped {found.skipped} that became live or were gone, left {found.left}"
    dry = "nothing was deleted: gc --delete" if found.garbage else "nothing to delete"
    return f"{found.listed} objects: {found.kept} kept, {rest}\n{done if deletes else dry}"
