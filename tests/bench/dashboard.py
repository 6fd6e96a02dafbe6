"""How long the dashboard's pages take, and how large they are, with a long history and many skills on record."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import httpx

from shared.adapters.sqlite_store import SqliteStore
from shared.core.canonical import digest_of
from shared.core.manifest import empty_manifest, manifest_bytes
from shared.core.names import object_name
from shared.core.rules import finding
from shared.model import BlobId, FileEntry, ManifestRef
from tests.bench.health import TRUST, fill, serving
from tests.bench.measures import percentile
from tests.bench.targets import DASHBOARD_BYTES, DASHBOARD_MS, Verdict
from tests.core.samples import a_live_skill, a_withheld, git_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.ports import Store

SKILLS, FILES, WITHHELD = 2000, 8, 200
_KEY = "k" * 40
_CALLS, _WARM_UP = 30, 3
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: the milliseconds of each call, and its size in bytes."""

    path: str
    status: int
    bytes: int
    calls: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything about it."""

    deployments: int
    skills: int
    first_ms: float
    pages: list[Page]


def measure(folder: Path, *, deployments: int) -> Measured:
    """Fill a store, start the function on it, and open its pages.

    Args:
        folder: An empty folder.
        deployments: How many are on record.
    """
    path = folder / "objects.db"
    store = SqliteStore(path)
    fill(store, deployments, put_bundle(store))
    store.close()
    last = f"1-{deployments}"
    paths = ["/", "/?state=withheld", "/?q=skill-19&after=skill-1905", f"/?before={last}", f"/deployments/{last}"]
    with serving(folder, path, "dashboard", MANUAL_SYNC_API_KEY=_KEY) as url:
        client = httpx.Client(base_url=url, auth=("anybody", _KEY), timeout=_PATIENCE_SECONDS)
        with client:
            started = time.perf_counter()
            client.get("/")
            first = 1000 * (time.perf_counter() - started)
            pages = [_page(client, each) for each in paths]
    return Measured(deployments=deployments, skills=SKILLS, first_ms=first, pages=pages)


def put_bundle(store: Store) -> ManifestRef:
    """Write a manifest of many skills, one in ten of them with a newer version withheld."""
    manifest = empty_manifest(channel=TRUST.channel, repo=TRUST.repo, root="", rules="made up")
    files = tuple(FileEntry(path=f"file-{n}.md", mode=0o644, blob=BlobId(git_id(n)), size=900) for n in range(FILES))
    for number in range(SKILLS):
        skill = replace(a_live_skill(f"skill-{number:04d}", number), files=files)
        manifest.skills[skill.id] = skill
        if number % (SKILLS // WITHHELD) == 0:
            manifest.withheld[skill.id] = replace(
                a_withheld(skill.id), findings=(finding("FM_MISSING", "SKILL.md"),) * 2
            )
    data = manifest_bytes(manifest)
    store.put(object_name(digest_of(data)), data, if_generation=0)
    return ManifestRef(sha256=digest_of(data), size=len(data), skills=len(manifest.skills))


def told(found: Measured) -> str:
    """Tell it for people."""
    rows = [
        f"dashboard, {found.deployments:,} deployments and {found.skills:,} skills, first page {found.first_ms:.0f} ms"
    ]
    for page in found.pages:
        middle, late = (percentile(page.calls, share) for share in (0.5, 0.95))
        rows.append(f"  {page.path:<32} p50 {middle:5.1f} ms, p95 {late:5.1f} ms, {page.bytes / 1000:5.1f} KB")
    return "\n".join(rows)


def verdicts(found: Measured) -> Iterator[Verdict]:
    """Judge the figures."""
    late = max(percentile(page.calls, 0.95) for page in found.pages)
    largest = max(page.bytes for page in found.pages)
    where = f"the dashboard with {found.deployments:,} deployments and {found.skills:,} skills:"
    yield Verdict(text=f"{where} slowest page p95 {late:.0f} ms (below {DASHBOARD_MS:.0f})", met=late < DASHBOARD_MS)
    text = f"{where} largest page {largest / 1000:.0f} KB (below {DASHBOARD_BYTES / 1000:.0f})"
    yield Verdict(text=text, met=largest < DASHBOARD_BYTES)
    failed = [page.path for page in found.pages if page.status != httpx.codes.OK]
    yield Verdict(text=f"{where} pages that failed: {', '.join(failed) or 'none'}", met=not failed)


def _page(client: httpx.Client, path: str) -> Page:
    calls, size, status = [], 0, 0
    for _ in range(_WARM_UP + _CALLS):
        started = time.perf_counter()
        answer = client.get(path)
        calls.append(1000 * (time.perf_counter() - started))
        size, status = len(answer.content), answer.status_code
    return Page(path=path, status=status, bytes=size, calls=calls[_WARM_UP:])
