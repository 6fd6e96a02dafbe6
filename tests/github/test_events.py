"""The stand-in's events: what GitHub would say of the same push, read by the product's own rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.core.webhook import MAX_BODY_BYTES, ignored_because, parse_push
from shared.model import Push
from tests.github.deliveries import MAX_PAYLOAD_BYTES, Deliveries
from tests.github.events import MAX_COMMITS, NOTHING, Event, events_of, ping, repository_id
from tests.github.server import RefChange
from tests.repos import Repo

NAME = "octo/skills"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
EXAMPLES = (
    Path(__file__).resolve().parents[1] / "node/node_modules/@octokit/webhooks-examples/api.github.com/index.json"
)


def moved(ref: str, before: str, after: str, *, forced: bool = False) -> RefChange:
    return RefChange(ref=ref, before=before, after=after, forced=forced)


class Origin:
    """A repository, its bare mirror, and the events of pushes to it."""

    def __init__(self, tmp_path: Path) -> None:
        self.repo = Repo(tmp_path / "origin")
        self.repo.write("a/SKILL.md", "One.")
        self.first = self.repo.commit("Add a")
        self._bare = tmp_path / "skills.git"

    @property
    def bare(self) -> Path:
        return self.repo.mirror(self._bare)

    def events(self, *changes: RefChange) -> list[Event]:
        return events_of(changes, self.bare, NAME, now=NOW)

    def push(self, change: RefChange) -> dict[str, Any]:
        """The payload of the `push` event alone."""
        return next(event.payload for event in self.events(change) if event.name == "push")

    def update(self, before: str, *, forced: bool = False) -> dict[str, Any]:
        return self.push(moved("refs/heads/main", before, self.repo.head, forced=forced))


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path)


def parsed(payload: dict[str, Any]) -> Push | None:
    return parse_push(json.dumps(payload).encode())


def ignored(payload: dict[str, Any]) -> str | None:
    return ignored_because(parsed(payload), repo=NAME, branch="main")


def names(payload: dict[str, Any]) -> list[str]:
    return [commit["message"] for commit in payload["commits"]]


def test_an_update_of_the_branch_asks_for_a_sync_and_says_from_where_to_where(origin: Origin) -> None:
    origin.repo.write("b/SKILL.md", "One.")
    head = origin.repo.commit("Add b")
    payload = origin.update(origin.first)
    assert ignored(payload) is None
    assert parsed(payload) == Push(
        repo=NAME,
        ref="refs/heads/main",
        before=origin.first,  # type: ignore[arg-type]
        after=head,  # type: ignore[arg-type]
        forced=False,
        deleted=False,
        default_branch="main",
        changed_skill_files=1,
    )
    assert (payload["created"], payload["deleted"], payload["base_ref"]) == (False, False, None)
    assert payload["compare"] == f"https://github.com/{NAME}/compare/{origin.first[:12]}...{head[:12]}"


def test_a_commit_says_who_when_what_and_which_files(origin: Origin) -> None:
    origin.repo.write("a/SKILL.md", "Two.")
    origin.repo.write("b/SKILL.md", "One.")
    origin.repo.write("c.txt", "One.")
    middle = origin.repo.commit("Change a\n\nBecause.\n")
    origin.repo.move("c.txt", "d.txt")
    head = origin.repo.commit("Move c")
    payload = origin.update(origin.first)
    person = {"name": "Ada Author", "email": "ada@example.com"}
    assert payload["commits"][0] == {
        "id": middle,
        "tree_id": origin.repo.id_of(commit=middle),
        "distinct": True,
        "message": "Change a\n\nBecause.",
        "timestamp": "2026-01-01T00:02:00Z",
        "url": f"https://github.com/{NAME}/commit/{middle}",
        "author": person,
        "committer": person,
        "added": ["b/SKILL.md", "c.txt"],
        "removed": [],
        "modified": ["a/SKILL.md"],
    }
    assert (payload["commits"][1]["added"], payload["commits"][1]["removed"]) == (["d.txt"], ["c.txt"])
    assert payload["head_commit"] == payload["commits"][1]
    assert payload["head_commit"]["id"] == head


def test_file_names_are_told_as_they_are(origin: Origin) -> None:
    odd = ["\nA", 'a "b" \\c', "tab\tname", "ünï/🎉.md"]
    for path in odd:
        origin.repo.write(path, "x")
    origin.repo.commit("Add odd names")
    assert origin.update(origin.first)["commits"][0]["added"] == odd


def test_a_merge_tells_its_changes_against_the_first_parent_and_what_another_branch_had_is_not_distinct(
    origin: Origin,
) -> None:
    origin.repo.switch("topic")
    origin.repo.write("t.txt", "t")
    origin.repo.commit("On topic")
    origin.repo.switch("main")
    origin.repo.write("m.txt", "m")
    origin.repo.commit("On main")
    origin.repo.merge("topic")
    payload = origin.update(origin.first)
    assert {commit["message"]: commit["distinct"] for commit in payload["commits"]} == {
        "On topic": False,
        "On main": True,
        "Merge topic": True,
    }
    assert payload["commits"][-1]["added"] == ["t.txt"]
    assert names(payload)[-1] == "Merge topic"


def test_a_forced_push_says_so_and_lists_only_what_the_old_head_lacks(origin: Origin) -> None:
    origin.repo.write("b.txt", "b")
    old = origin.repo.commit("Lost")
    origin.bare  # noqa: B018 - the old head reaches the mirror, as an earlier push
    origin.repo.reset(origin.first)
    origin.repo.write("c.txt", "c")
    origin.repo.commit("Kept")
    payload = origin.update(old, forced=True)
    assert names(payload) == ["Kept"]
    push = parsed(payload)
    assert push is not None
    assert (push.forced, ignored(payload)) == (True, None)


def test_a_push_back_to_an_older_commit_has_no_commits_but_a_head(origin: Origin) -> None:
    origin.repo.write("b.txt", "b")
    old = origin.repo.commit("Lost")
    origin.bare  # noqa: B018 - as above
    origin.repo.reset(origin.first)
    payload = origin.update(old, forced=True)
    assert payload["commits"] == []
    assert payload["head_commit"]["id"] == origin.first


def test_a_new_branch_is_created_and_brings_only_what_no_other_branch_had(origin: Origin) -> None:
    origin.repo.switch("topic")
    origin.repo.write("t.txt", "t")
    head = origin.repo.commit("On topic")
    created, pushed = origin.events(moved("refs/heads/topic", NOTHING, head))
    assert (created.name, created.payload["ref"], created.payload["ref_type"]) == ("create", "topic", "branch")
    assert pushed.payload["created"] is True
    assert names(pushed.payload) == ["On topic"]
    assert str(pushed.payload["compare"]).endswith(f"/commit/{head}")
    assert ignored(pushed.payload) == "another branch or a tag; nothing to do"


def test_a_new_branch_at_the_head_of_another_names_it_as_its_base(origin: Origin) -> None:
    origin.repo.git("branch", "copy")
    payload = origin.push(moved("refs/heads/copy", NOTHING, origin.first))
    assert (payload["base_ref"], payload["commits"]) == ("refs/heads/main", [])
    assert payload["compare"].endswith("/compare/copy")


def test_the_first_push_to_an_empty_repository_brings_everything_and_asks_for_a_sync(origin: Origin) -> None:
    origin.repo.write("b.txt", "b")
    head = origin.repo.commit("Add b")
    payload = origin.update(NOTHING)
    assert names(payload) == ["Add a", "Add b"]
    assert payload["commits"][0]["added"] == ["a/SKILL.md"]
    assert payload["compare"].endswith(f"/compare/{origin.first[:12]}^...{head[:12]}")
    assert ignored(payload) is None


def test_a_deleted_branch_has_neither_commits_nor_a_head_and_is_ignored(origin: Origin) -> None:
    deleted, pushed = origin.events(moved("refs/heads/main", origin.first, NOTHING))
    assert (deleted.name, deleted.payload["ref"], deleted.payload["ref_type"]) == ("delete", "main", "branch")
    payload = pushed.payload
    assert (payload["deleted"], payload["commits"], payload["head_commit"]) == (True, [], None)
    assert str(payload["compare"]).endswith(f"/compare/{origin.first[:12]}...000000000000")
    assert ignored(payload) == "the branch was deleted; what is live stays"


def test_a_new_tag_points_at_its_commit_and_is_ignored(origin: Origin) -> None:
    origin.repo.git("tag", "light")
    origin.repo.git("tag", "-a", "-m", "Heavy", "heavy")
    heavy = origin.repo.git("rev-parse", "heavy")
    for name, after in (("light", origin.first), ("heavy", heavy)):
        created, pushed = origin.events(moved(f"refs/tags/{name}", NOTHING, after))
        assert (created.payload["ref"], created.payload["ref_type"]) == (name, "tag")
        assert (pushed.payload["after"], pushed.payload["commits"]) == (after, [])
        assert pushed.payload["head_commit"]["id"] == origin.first  # type: ignore[index]
        assert ignored(pushed.payload) == "another branch or a tag; nothing to do"
    assert heavy != origin.first


def test_a_tag_of_something_that_is_no_commit_has_no_head_commit(origin: Origin) -> None:
    blob = origin.repo.id_of("a/SKILL.md")
    origin.repo.git("tag", "file", blob)
    payload = origin.push(moved("refs/tags/file", NOTHING, blob))
    assert (payload["commits"], payload["head_commit"]) == ([], None)


def test_a_deleted_tag_is_deleted_and_ignored(origin: Origin) -> None:
    deleted, pushed = origin.events(moved("refs/tags/v1", origin.first, NOTHING))
    assert (deleted.name, deleted.payload["ref_type"]) == ("delete", "tag")
    assert (pushed.payload["deleted"], pushed.payload["head_commit"]) == (True, None)
    assert ignored(pushed.payload) == "another branch or a tag; nothing to do"


def test_many_refs_of_one_push_have_an_event_each_in_order_and_four_tags_have_none(origin: Origin) -> None:
    head = origin.repo.commit("More")
    branch = moved("refs/heads/main", origin.first, head)
    tags = [moved(f"refs/tags/v{number}", NOTHING, head) for number in range(4)]
    three = [(event.name, event.payload["ref"]) for event in origin.events(branch, *tags[:3])]
    assert three[:3] == [("push", "refs/heads/main"), ("create", "v0"), ("push", "refs/tags/v0")]
    assert len(three) == 7
    assert [event.payload["ref"] for event in origin.events(branch, *tags)] == ["refs/heads/main"]


def test_a_ref_that_is_neither_branch_nor_tag_has_no_event(origin: Origin) -> None:
    assert origin.events(moved("refs/notes/commits", NOTHING, origin.first)) == []


def test_a_push_of_more_than_2048_commits_lists_the_newest_2048(origin: Origin) -> None:
    lines = [
        f"commit refs/heads/main\ncommitter A <a@example.com> {1_800_000_000 + n} +0000\ndata 5\nn{n:04}\n"
        + (f"from {origin.first}\n" if n == 0 else "")
        for n in range(MAX_COMMITS + 2)
    ]
    origin.repo.git("fast-import", "--quiet", "--force", data="".join(lines).encode())
    payload = origin.push(moved("refs/heads/main", origin.first, origin.repo.git("rev-parse", "main")))
    assert names(payload) == [f"n{n:04}" for n in range(2, MAX_COMMITS + 2)]
    assert payload["head_commit"]["message"] == f"n{MAX_COMMITS + 1}"
    assert all(commit["distinct"] for commit in payload["commits"])
    push = parsed(payload)
    assert push is not None
    assert (push.before, push.after) == (origin.first, payload["head_commit"]["id"])


def test_a_ping_shows_the_hook_and_is_no_push(origin: Origin) -> None:
    event = ping({"id": 7, "events": ["push"]}, origin.bare, NAME)
    assert (event.name, event.payload["hook_id"], event.payload["hook"]) == ("ping", 7, {"id": 7, "events": ["push"]})
    assert event.payload["zen"]
    assert ignored(event.payload) == "not a push; nothing to do"


def test_create_and_delete_are_no_push(origin: Origin) -> None:
    for change in (moved("refs/heads/x", NOTHING, origin.first), moved("refs/heads/x", origin.first, NOTHING)):
        assert ignored(origin.events(change)[0].payload) == "not a push; nothing to do"


def test_the_repository_has_one_number_whatever_the_case_of_its_name(origin: Origin) -> None:
    place = origin.update(NOTHING)["repository"]
    assert place["id"] == repository_id("Octo/SKILLS")
    assert (place["full_name"], place["name"], place["owner"]["login"]) == (NAME, "skills", "octo")
    assert (place["default_branch"], place["html_url"]) == ("main", f"https://github.com/{NAME}")
    assert place["pushed_at"] == int(NOW.timestamp())


def test_githubs_limit_for_a_payload_is_the_one_that_the_webhook_has() -> None:
    assert MAX_PAYLOAD_BYTES == MAX_BODY_BYTES


# Beside GitHub's own


def example(name: str, **wanted: object) -> dict[str, Any]:
    """A real payload: the last one of that event that has these values; without an organization or app around it."""
    if not EXAMPLES.exists():
        pytest.skip("@octokit/webhooks-examples is not installed; `make test` installs it")
    payloads = next(event["examples"] for event in json.loads(EXAMPLES.read_bytes()) if event["name"] == name)
    found = [item for item in payloads if wanted.items() <= {**item, **item.get("hook", {})}.items()]
    return {key: value for key, value in found[-1].items() if key not in {"organization", "installation"}}


def shape(value: object) -> object:
    """Which keys there are, all the way down; null and lists of nothing fit everything."""
    return {key: shape(item) for key, item in value.items()} if isinstance(value, dict) else None


def test_a_new_branch_has_every_key_of_githubs_own_example_and_no_other(origin: Origin) -> None:
    real = example("push", ref="refs/heads/master")
    for person in (real["commits"][0]["author"], real["commits"][0]["committer"]):
        person.pop("username", None)  # GitHub adds the account that owns the address; here nobody has one
    real["head_commit"] = real["commits"][0]
    ours = origin.update(NOTHING)
    assert shape(ours) == shape(real)
    assert shape(ours["commits"][0]) == shape(real["commits"][0])
    same = ("ref", "before", "after", "repository", "pusher", "sender", "compare", "commits", "head_commit")
    assert {key: ours[key] for key in ours if key not in same} == {key: real[key] for key in real if key not in same}


def test_tags_too_have_every_key_of_githubs_own_examples(origin: Origin) -> None:
    real = {name: example(name, ref="simple-tag", ref_type="tag") for name in ("create", "delete")}
    for name, change in (
        ("create", moved("refs/tags/simple-tag", NOTHING, origin.first)),
        ("delete", moved("refs/tags/simple-tag", origin.first, NOTHING)),
    ):
        event, pushed = origin.events(change)
        assert (event.name, shape(event.payload)) == (name, shape(real[name]))
        assert {key: event.payload[key] for key in ("ref", "ref_type", "pusher_type")} == {
            key: real[name][key] for key in ("ref", "ref_type", "pusher_type")
        }
        assert pushed.payload.keys() == example("push", deleted=name == "delete").keys()


def test_a_ping_and_its_hook_have_every_key_of_githubs_own_example(origin: Origin) -> None:
    real = example("ping", type="Repository")
    real["hook"].pop("app_id", None)
    real["hook"]["config"]["secret"] = "********"  # the example's hook has none
    deliveries = Deliveries(NAME)
    hook = deliveries.hook(deliveries.add_hook("http://127.0.0.1:9/", "s" * 20))
    assert hook is not None
    assert shape(ping(hook, origin.bare, NAME).payload) == shape(real)
