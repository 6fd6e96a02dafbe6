"""When an uploaded commit may become live: forward along the branch, with exactly its own content, and never back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.upload import tree_of
from shared.errors import InputError, UnavailableError
from shared.model import CommitSha, Kind, Standing, Trigger
from shared.service.context import Deadline
from shared.service.sync import Command, Outcome, synchronise
from shared.service.upload import UploadedSource
from tests.fakes.memory_source import Files, MemorySource
from tests.fakes.world import World, bad_skill, skill


class Uploads(World):
    """A world to which uploads come."""

    def upload(self, commit: CommitSha, files: Files | None = None) -> Outcome:
        """Upload a commit, with its own files unless others are named."""
        content = self.repository.files(commit) if files is None else files
        tree = tree_of((path, Kind.FILE, data) for path, data in content.items())
        context = replace(self.context, source=UploadedSource(self.source, commit, tree))
        return synchronise(context, Command(trigger=Trigger.ACTIONS), Deadline(self.clock, 25.0))

    def refused(self, commit: CommitSha, files: Files | None = None) -> tuple[str, int]:
        with pytest.raises(InputError) as caught:
            self.upload(commit, files)
        return caught.value.code, caught.value.status

    def commits(self, *texts: str) -> list[CommitSha]:
        return [self.push(skill("a", text)).after for text in texts]


def test_the_branch_head_is_deployed_from_the_upload_and_no_content_is_fetched() -> None:
    world = Uploads()
    push = world.push(skill("a"), skill("b", guide="How."))
    outcome = world.upload(push.after)
    assert [key for key, _ in outcome.published] == ["a", "b"]
    assert (world.pointer.trigger, world.pointer.commit) == (Trigger.ACTIONS, push.after)
    assert isinstance(world.source, MemorySource)
    assert world.source.blobs_asked == []
    assert world.live()["b"]["guide.txt"] == b"How."


def test_an_upload_is_judged_by_the_same_rules() -> None:
    world = Uploads()
    outcome = world.upload(world.push(skill("a"), bad_skill("b")).after)
    assert ([key for key, _ in outcome.published], [item.id for item in outcome.withheld]) == (["a"], ["b"])


def test_an_upload_makes_the_very_deployment_that_a_poll_would_have_made() -> None:
    uploaded, polled = Uploads(), Uploads()
    for world in (uploaded, polled):
        world.push(skill("a"), skill("b", guide="How."), bad_skill("c"))
    uploaded.upload(uploaded.repository.head)
    polled.poll()
    assert uploaded.pointer.manifest == polled.pointer.manifest
    assert uploaded.poll().status is None


def test_the_same_upload_twice_changes_nothing() -> None:
    world = Uploads()
    (commit,) = world.commits("One.")
    assert world.upload(commit).deployment == "1-1"
    again = world.upload(commit)
    assert (again.status, again.deployment) == (None, "1-1")


def test_a_commit_that_the_branch_has_already_left_behind_is_deployed_as_long_as_it_goes_forward() -> None:
    world = Uploads()
    first, second, third = world.commits("One.", "Two.", "Three.")
    world.repository.head = first
    world.upload(first)
    world.repository.head = third
    world.upload(second)
    assert world.texts() == {"a": "Two."}
    world.poll()
    assert world.texts() == {"a": "Three."}


def test_a_commit_that_the_refs_do_not_show_yet_is_deployed() -> None:
    world = Uploads()
    first, second = world.commits("One.", "Two.")
    world.repository.head = first
    world.upload(first)
    world.upload(second)
    assert world.texts() == {"a": "Two."}


def test_an_ancestor_of_what_is_live_never_wins() -> None:
    world = Uploads()
    first, second = world.commits("One.", "Two.")
    world.poll()
    before = world.store.list("")
    assert world.refused(first) == ("UPLOAD_BEHIND", 409)
    # Also where the source shows an old head, or was forced back to it: that is for the poll to follow.
    world.repository.head = first
    assert world.refused(first) == ("UPLOAD_BEHIND", 409)
    assert (world.pointer.commit, world.texts(), world.store.list("")) == (second, {"a": "Two."}, before)


def test_a_commit_beside_the_branch_never_wins() -> None:
    world = Uploads()
    first, second = world.commits("One.", "Two.")
    world.repository.head = first
    aside = world.repository.commit(skill("a", "Aside."), parent=first)
    world.repository.head = second
    world.poll()
    assert world.refused(aside) == ("UPLOAD_DIVERGED", 409)
    # It descends from what is live, and was forced away from the branch meanwhile.
    other = Uploads()
    base, newer = other.commits("One.", "Two.")
    other.repository.head = base
    other.poll()
    gone = other.repository.commit(skill("a", "Gone."), parent=base)
    other.repository.head = newer
    assert other.refused(gone) == ("UPLOAD_DIVERGED", 409)


def test_a_branch_that_was_forced_to_another_line_is_followed() -> None:
    world = Uploads()
    first, _ = world.commits("One.", "Two.")
    world.poll()
    forced = world.repository.commit(skill("a", "Forced."), parent=first)
    outcome = world.upload(forced)
    assert (outcome.status is not None, world.texts(), world.pointer.history_rewritten) == (
        True,
        {"a": "Forced."},
        True,
    )


def test_where_nothing_is_live_only_the_branch_head_may_be_uploaded() -> None:
    world = Uploads()
    first, second = world.commits("One.", "Two.")
    assert world.refused(first) == ("UPLOAD_NOT_HEAD", 409)
    assert world.upload(second).deployment == "1-1"


def test_a_commit_that_the_repository_does_not_know_is_refused() -> None:
    world = Uploads()
    world.commits("One.")
    world.poll()
    assert world.refused(CommitSha("f" * 40), skill("a")) == ("UPLOAD_UNKNOWN", 409)


@pytest.mark.parametrize(
    "files",
    [
        skill("a", "Else."),
        {},
        skill("a") | skill("b"),
        {f"skills/{path}": data for path, data in skill("a").items()},
        {path.replace("SKILL", "skill"): data for path, data in skill("a").items()},
    ],
    ids=["changed", "empty", "more", "a folder around", "renamed"],
)
@pytest.mark.parametrize("live", [False, True])
def test_what_is_not_that_commits_content_is_refused_whether_it_is_live_or_not(files: Files, live: bool) -> None:  # noqa: FBT001 - both ways
    world = Uploads()
    commit = world.push(skill("a")).after
    if live:
        world.poll()
    before = world.store.list("")
    assert world.refused(commit, files) == ("UPLOAD_NOT_COMMIT", 422)
    assert world.store.list("") == before


class Silent(MemorySource):
    """A repository that cannot be asked."""

    def head(self, known: CommitSha | None) -> CommitSha:
        del known
        raise UnavailableError("SOURCE_UNAVAILABLE", "down")


def test_while_the_repository_cannot_be_asked_nothing_is_deployed() -> None:
    world = Uploads()
    commit = world.push(skill("a")).after
    world.source = Silent(world.repository)
    with pytest.raises(UnavailableError, match="SOURCE_UNAVAILABLE"):
        world.upload(commit)
    assert world.store.get("current.json") is None


class Mute(MemorySource):
    """A repository that does not tell how commits stand."""

    def compare(self, base: CommitSha, head: CommitSha) -> Standing:
        del base, head
        return Standing.UNKNOWN


def test_where_the_order_of_commits_cannot_be_told_only_the_branch_head_wins() -> None:
    world = Uploads()
    first, second = world.commits("One.", "Two.")
    world.repository.head = first
    world.poll()
    world.source = Mute(world.repository)
    assert world.refused(second) == ("UPLOAD_UNKNOWN", 409)
    world.repository.head = second
    world.upload(second)
    assert world.texts() == {"a": "Two."}


def test_a_refused_upload_is_no_failure_of_the_service() -> None:
    world = Uploads()
    first, _ = world.commits("One.", "Two.")
    world.poll()
    world.refused(first)
    assert "error" not in world.summary.poller
    assert world.events() == []


def test_an_upload_that_loses_the_race_is_placed_anew_and_refused_where_it_has_become_old() -> None:
    world = Uploads()
    first, second = world.commits("One.", "Two.")
    rival = Uploads(store=world.store, repository=world.repository)
    world.repository.head = first

    class Overtaken(MemorySource):
        def listing(self, commit: CommitSha) -> list[object]:  # type: ignore[override]
            if rival.repository.head == first:
                rival.repository.head = second
                rival.poll()
            return super().listing(commit)  # type: ignore[return-value]

    world.source = Overtaken(world.repository)
    assert world.refused(first) == ("UPLOAD_BEHIND", 409)
    assert world.texts() == {"a": "Two."}
