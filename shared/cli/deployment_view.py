"""Deployments, their differences and what is withheld, made readable. Asking for them is `asking`'s and `acting`'s business."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from shared.cli.screen import BAD, DOUBTFUL, GOOD, cell, commit, items, line, moment, part, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

_MEANINGS = {
    "rejected": "rejected: mend it and push",
    "together": "together: waits for a rejected skill of the same push",
    "rolled_back": "rolled_back: until the skill changes, or `release`",
    "unhealthy": "unhealthy: a gateway did not stand it; push a fix, or `release`",
    "deletion_guard": "deletion_guard: `release` deletes it, restoring it in the repository keeps it",
}


def history(deployments: Sequence[object]) -> RenderableType:
    """Return a table of deployments as they are listed."""
    return table(("deployment", "when", "status", "trigger", "commit", "skills", ""), map(_row, deployments))


def deployment(document: Mapping[str, object]) -> Iterator[RenderableType]:
    """Yield one deployment with what it changed, and what was found in what it withheld."""
    ended = (cell(document.get("status")), "by", document.get("trigger"))
    yield line("deployment", cell(document.get("id"), "bold"), *ended)
    rows = [
        ("deployed", moment(document.get("timestamp"))),
        ("asked for", moment(document.get("asked_at"))),
        ("commit", document.get("commit_sha")),
        ("before it", f"{document.get('previous') or 'nothing'} {document.get('previous_commit') or ''}"),
        ("skills", f"{document.get('skills')} live, {_or_unknown(document.get('withheld'))} withheld"),
    ]
    if document.get("rolled_back_to"):
        rows.append(("went back to", document["rolled_back_to"]))
    if document.get("history_rewritten"):
        rows.append(("history", "the branch was force-pushed"))
    yield table(("", ""), rows)
    yield Text()
    if document.get("published") is None:
        yield line("what it changed is not known any more: its manifests were collected", style=DOUBTFUL)
        return
    yield from changes(items(document, "published"), items(document, "removed"))
    held = part(document, "held")
    if held:
        yield Text()
        yield from withheld(held)


def difference(document: Mapping[str, object]) -> Iterator[RenderableType]:
    """Yield what lies between two deployments."""
    yield line("from", *_named(document, "from"), "to", *_named(document, "to"))
    yield Text()
    counts = part(document, "counts")
    yield from changes(items(document, "published"), items(document, "removed"), counts)
    held = part(document, "withheld")
    if held:
        yield Text()
        yield from withheld(held, _number(counts.get("withheld")))


def preview(document: Mapping[str, object]) -> Iterator[RenderableType]:
    """Yield what a rollback would change, skill by skill, and which newer versions it would hold back."""
    what = "would change nothing." if is_idle(document) else "would change:"
    yield line("A rollback to", *_named(document, "to"), "from", *_named(document, "from"), what)
    if is_idle(document):
        return
    counts = part(document, "counts")
    yield from changes(items(document, "published"), items(document, "removed"), counts)
    held = items(document, "held_back")
    if held:
        yield Text()
        yield line("It holds back what the branch has of these, until they change or are released:", style=DOUBTFUL)
        yield Text("  " + ", ".join(cell(each).plain for each in held))
        yield from _more(_number(counts.get("held_back")) - len(held))
    yield Text()
    yield line("To undo it afterwards: rollback", part(document, "from").get("id"))


def foretold(document: Mapping[str, object]) -> Iterator[RenderableType]:
    """Yield what a sync would do."""
    at, live = commit(document.get("commit")), document.get("deploymentId")
    if document.get("status") == "unchanged":
        yield line("A sync with commit", at, "would change nothing:", live, "stays live.")
    else:
        yield line("A sync with commit", at, f"would make a new deployment; live is {live or 'none yet'}.")
        yield from changes(items(document, "skills"), items(document, "removed"))
        held = {str(each.get("name")): each for each in items(document, "rejected") if isinstance(each, dict)}
        if held:
            yield Text()
            yield from withheld(held)
    yield line("Nothing was changed.")


def outcome(document: Mapping[str, object]) -> Iterator[RenderableType]:
    """Yield what a sync, a release or a rollback did."""
    yield line(cell(document.get("status")), document.get("deploymentId"), "at commit", commit(document.get("commit")))
    if document.get("skills") or document.get("removed"):
        yield from changes(items(document, "skills"), items(document, "removed"))
    held = {str(each.get("name")): each for each in items(document, "rejected") if isinstance(each, dict)}
    if held:
        yield Text()
        yield from withheld(held)
    warned = part(document, "warnings")
    found = [(key or "the bundle", finding) for key in warned for finding in items(warned, key)]
    if found:
        yield Text()
        yield table(("warning about", "code", "where", "what to change"), (_finding(key, each) for key, each in found))


def is_idle(document: Mapping[str, object]) -> bool:
    """Whether a rollback would change nothing."""
    return not any(part(document, "counts").get(kind) for kind in ("published", "removed", "held_back"))


def changes(
    published: Sequence[object], removed: Sequence[object], counts: Mapping[str, object] | None = None
) -> Iterator[RenderableType]:
    """Yield what comes, changes and goes, a line a skill.

    Args:
        published: With name, version and, where it is known, previous_version.
        removed: Ids.
        counts: How many there are, where not all are listed.
    """
    if not (published or removed):
        yield line("No skill changes.")
        return
    rows: list[tuple[object, ...]] = []
    for each in published:
        found = each if isinstance(each, dict) else {}
        was = found.get("previous_version")
        new = was is None
        word = "publish" if "previous_version" not in found else "add" if new else "change"
        rows.append((cell(word, GOOD if new else DOUBTFUL), found.get("name"), was, found.get("version")))
    rows += [(cell("remove", BAD), each, "", "") for each in removed]
    yield table(("", "skill", "was", "becomes"), rows)
    told = counts or {}
    every = _number(told.get("published")) + _number(told.get("removed"))
    yield from _more(every - len(rows))


def withheld(held: Mapping[str, object], count: int = 0) -> Iterator[RenderableType]:
    """Yield withheld skills with reason and findings.

    Args:
        held: By id, as the API tells them.
        count: How many there are, where not all are listed.
    """
    rows = [(key, _meaning(part(held, key).get("reason")), commit(part(held, key).get("commit"))) for key in held]
    yield table(("withheld", "reason", "commit"), rows)
    found = [(key, finding) for key in held for finding in items(part(held, key), "findings")]
    if found:
        yield Text()
        yield table(("skill", "code", "where", "what to change"), (_finding(key, each) for key, each in found))
    yield from _more(count - len(held))


def _row(listed: object) -> tuple[object, ...]:
    found = listed if isinstance(listed, dict) else {}
    back = found.get("rolled_back_to")
    when, sha = moment(found.get("timestamp")), commit(found.get("commit_sha"))
    note = f"back to {back}" if back else ""
    return found.get("id"), when, found.get("status"), found.get("trigger"), sha, found.get("skills"), note


def _named(document: Mapping[str, object], key: str) -> tuple[object, ...]:
    found = part(document, key)
    return cell(found.get("id"), "bold"), f"({moment(found.get('timestamp'))}, {commit(found.get('commit_sha'))})"


def _finding(skill: str, value: object) -> tuple[object, ...]:
    found = value if isinstance(value, dict) else {}
    at, number = found.get("path"), found.get("line")
    style = BAD if found.get("severity") == "error" else DOUBTFUL
    return skill, cell(found.get("code"), style), f"{at}:{number}" if number else at, found.get("hint")


def _meaning(reason: object) -> object:
    return _MEANINGS.get(str(reason), reason)


def _more(count: int) -> Iterator[RenderableType]:
    if count > 0:
        yield line(f"and {count} more")


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _or_unknown(value: object) -> object:
    return "an unknown number" if value is None else value
