"""The operator's command against the real functions: what each command prints, as JSON and for people, and how it ends."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import httpx
import pytest

from shared.cli.exits import MEANINGS, exit_table
from shared.cli.service import COMMANDS
from tests.cli.service_desk import ADDRESS
from tests.functions.cloud import API_KEY, skill_text
from tests.test_architecture import ROOT

if TYPE_CHECKING:
    from tests.cli.service_desk import Desk

# A name as somebody may push it: markup of rich, a command to the terminal, a turn of the writing direction.
HOSTILE = "x[bold red]y\x1b[2J\u202ez"
ALL = [["status"], ["history"], ["show", "1-1"], ["diff", "1-1"], ["withheld"], ["sync"], ["release", "a"]]
ASKING = [words for words in ALL if words[0] not in {"status", "sync", "release"}]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def mixed(desk: Desk) -> None:
    """Deploy a newer a, c in place of b, and a d and a hostile name that are kept out."""

    def change() -> None:
        desk.cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
        desk.cloud.repo.delete("b")
        desk.cloud.repo.write("c/SKILL.md", skill_text("c"))
        desk.cloud.repo.write("d/SKILL.md", "no frontmatter")
        desk.cloud.repo.write(f"{HOSTILE}/SKILL.md", "no frontmatter")

    desk.push(lambda _: change())


def pause(desk: Desk) -> None:
    """Take the pointer back by one deployment, as a restored bucket does, and let a sync find it."""
    first = desk.cloud.store.get("current.json")
    desk.write("a", "Lost.")
    newer = desk.cloud.store.get("current.json")
    assert first is not None
    assert newer is not None
    desk.cloud.store.put("current.json", first.data, if_generation=newer.generation)
    assert desk.run("sync")[0] == 3


def live(desk: Desk) -> str:
    return str(desk.json("history", "--limit", "1")[1]["deployments"][0]["id"])


def test_a_healthy_service_is_shown_at_a_glance_and_ends_with_0(desk: Desk) -> None:
    status, out = desk.run("status")
    assert status == 0
    told = ("healthy", ADDRESS, "1-1", desk.cloud.repo.head[:12], "by webhook", "2 live, none withheld", "edge")
    assert all(word in out for word in told)
    assert "webhook_success_rate" in out
    assert "> 0.99" in out
    assert "next:" not in out
    assert "\x1b" not in out + desk.err


def test_status_as_json_is_what_the_functions_said(desk: Desk) -> None:
    status, document = desk.json("status")
    (request,) = desk.functions.asked
    assert (status, request.url.path, "x-api-key" in request.headers) == (0, "/health", False)
    said = desk.cloud.call("status", "GET", "/health").json or {}
    assert list(document) == list(said)
    volatile = {"timestamp": None}
    assert document | volatile == said | volatile


def test_a_degraded_service_ends_with_1_and_an_unhealthy_one_with_2(desk: Desk) -> None:
    desk.cloud.set("SOURCE_URL", "/nowhere")
    desk.run("sync")
    status, out = desk.run("status")
    assert (status, "degraded" in out, "the last sync failed: SOURCE_NOT_FOUND" in out) == (1, True, True)
    desk.cloud.set("POLLING_INTERVAL_MIN", "0.000001")
    status, out = desk.run("status")
    assert (status, "unhealthy" in out, "nobody polls" in out) == (2, True, True)
    assert desk.json("status")[0] == 2


def test_a_store_that_is_down_is_unhealthy_and_named(desk: Desk) -> None:
    desk.cloud.set("STORE_URI", "sqlite:///proc/nowhere/objects.db")
    status, out = desk.run("status")
    assert (status, "the store cannot be read: STORE_UNAVAILABLE" in out) == (2, True)


def test_a_paused_service_says_what_to_do_next_to_whom_has_the_key(desk: Desk) -> None:
    pause(desk)
    status, out = desk.run("status")
    assert (status, "the state is PAUSED: mismatch_detected" in out) == (2, True)
    assert "operator epoch bump" in out.partition("next:")[2]
    assert "nothing is deployed" in out
    desk.cloud.set("MANUAL_SYNC_API_KEY", None)
    status, out = desk.run("status")
    assert (status, "set MANUAL_SYNC_API_KEY" in out.partition("next:")[2]) == (2, True)


@pytest.mark.parametrize("words", [["sync"], ["release", "a"], ["rollback", "1-1", "--yes"]])
def test_while_paused_every_change_is_refused_with_reasons_and_next_action(desk: Desk, words: list[str]) -> None:
    desk.write("a")
    pause(desk)
    status, document = desk.json(*words)
    assert (status, document["code"], document["reasons"]) == (3, "PAUSED", ["mismatch_detected"])
    assert "operator epoch bump" in document["next_action"]
    assert all(word in desk.err for word in ("[PAUSED]", "reasons: mismatch_detected", "next: find out who"))


def test_history_is_listed_newest_first_and_paged(desk: Desk) -> None:
    for number in range(4):
        desk.write("a", f"Text {number}.", f"1.1.{number}")
    status, out = desk.run("history", "--limit", "2")
    rows = [row.split()[0] for row in out.splitlines()]
    assert (status, rows[:3]) == (0, ["deployment", "1-5", "1-4"])
    assert "history --before 1-4" in out
    status, page = desk.json("history", "--before", "1-4")
    assert [each["id"] for each in page["deployments"]] == ["1-3", "1-2", "1-1"]
    assert page["next"] is None


def test_a_long_history_is_asked_for_by_pages(desk: Desk) -> None:
    desk.functions.instead = [
        httpx.Response(200, json={"deployments": [{"id": f"1-{n}"} for n in range(99, 49, -1)], "next": "1-50"}),
        httpx.Response(200, json={"deployments": [{"id": f"1-{n}"} for n in range(49, 39, -1)], "next": "1-40"}),
    ]
    _, page = desk.json("history", "--limit", "60")
    assert (len(page["deployments"]), page["next"]) == (60, "1-40")
    assert [request.url.query for request in desk.functions.asked] == [b"limit=50", b"before=1-50&limit=10"]


def test_one_deployment_is_shown_with_changes_and_findings(desk: Desk) -> None:
    mixed(desk)
    status, out = desk.run("show", "1-2")
    words = " ".join(out.split())
    assert status == 0
    told = (
        "change a 1.0.0 1.1.0",
        "add c 1.0.0",
        "remove b",
        "FM_MISSING d/SKILL.md:1 begin the file",
        "before it 1-1",
    )
    assert all(each in words for each in told)
    said = desk.cloud.operator("status", "GET", "/api/deployments/1-2").json
    assert desk.json("show", "1-2") == (0, said)


def test_two_deployments_are_compared_and_one_with_what_is_live(desk: Desk) -> None:
    mixed(desk)
    status, out = desk.run("diff", "1-1", "1-2")
    assert (status, "change a 1.0.0 1.1.0" in " ".join(out.split())) == (0, True)
    status, document = desk.json("diff", "1-1")
    assert (status, document["from"]["id"], document["to"]["id"], document["removed"]) == (0, "1-2", "1-1", ["c"])


def test_all_that_is_withheld_is_listed_over_all_pages(desk: Desk) -> None:
    assert desk.run("withheld") == (0, "Nothing is withheld.\n")
    mixed(desk)
    status, out = desk.run("withheld")
    assert (status, "d " in out, "rejected: mend it and push" in out, "FM_MISSING" in out) == (0, True, True, True)
    held = {"reason": "rejected", "findings": []}
    pages = [
        {"deploymentId": "1-9", "withheld": {key: held}, "next": next_} for key, next_ in (("x", "x"), ("y", None))
    ]
    other = {"deploymentId": "1-8", "withheld": {"old": held}, "next": "old"}
    desk.functions.instead = [httpx.Response(200, json=page) for page in (other, pages[1], *pages)]
    status, document = desk.json("withheld")
    assert (status, document["deploymentId"], list(document["withheld"])) == (0, "1-9", ["x", "y"])


@pytest.mark.parametrize("words", [["status"], ["history"], ["show", "1-2"], ["diff", "1-1", "1-2"], ["withheld"]])
def test_a_hostile_name_neither_acts_on_the_terminal_nor_counts_as_markup(desk: Desk, words: list[str]) -> None:
    mixed(desk)
    _, out = desk.run(*words)
    assert not {"\x1b", "\u202e"} & set(out)
    if words[0] in {"show", "diff", "withheld"}:
        assert "x[bold red]y" in out
    assert out.count("\n") < 60
    assert desk.json(*words)[0] == 0


def test_what_the_functions_say_in_an_error_is_cleaned_too(desk: Desk) -> None:
    desk.functions.instead = [httpx.Response(404, json={"error": f"{HOSTILE} {API_KEY}", "code": f"C{HOSTILE}"})]
    status, document = desk.json("show", "1-1")
    assert (status, API_KEY in str(document) + desk.err) == (1, False)
    assert not {"\x1b", "\u202e"} & set(desk.err + document["error"] + document["code"])


def test_documents_of_another_shape_do_not_break_a_view(desk: Desk) -> None:
    odd = dict.fromkeys(("services", "kpis", "skills", "published", "removed", "held", "counts", "withheld", "from"), 5)
    for words in [*ALL, ["rollback", "1-1", "--dry-run"]]:
        desk.functions.instead = [httpx.Response(200, json=odd)]
        assert desk.run(*words)[0] in {0, 1}


def test_a_sync_tells_what_it_did_and_a_second_one_changes_nothing(desk: Desk) -> None:
    desk.cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    desk.cloud.repo.write("d/SKILL.md", "no frontmatter")
    desk.cloud.repo.commit("Change")
    status, out = desk.run("sync")
    words = " ".join(out.split())
    assert (status, "deployed 1-2 at commit" in words, "publish a" in words) == (0, True, True)
    assert "FM_MISSING" in words
    assert desk.err == ""  # no spinner where nobody watches
    status, document = desk.json("sync")
    assert (status, document["status"], document["deploymentId"]) == (0, "unchanged", "1-2")


def test_a_dry_run_says_what_a_sync_would_do_and_does_nothing(desk: Desk) -> None:
    desk.cloud.repo.write("a/SKILL.md", skill_text("a", "New.", "1.1.0"))
    desk.cloud.repo.write("d/SKILL.md", "no frontmatter")
    desk.cloud.repo.commit("Change")
    status, out = desk.run("sync", "--dry-run")
    words = " ".join(out.split())
    assert (status, live(desk)) == (0, "1-1")
    told = ("would make a new deployment; live is 1-1", "publish a 1.1.0", "FM_MISSING", "Nothing was changed.")
    assert all(each in words for each in told)
    status, document = desk.json("sync", "--dry-run")
    assert (status, document["status"], live(desk)) == (0, "would_deploy", "1-1")
    desk.run("sync")
    assert "would change nothing: 1-2 stays live." in desk.run("sync", "--dry-run")[1]


def test_a_dry_run_while_paused_ends_with_3_and_the_next_action(desk: Desk) -> None:
    pause(desk)
    status, document = desk.json("sync", "--dry-run")
    assert (status, document["code"], "operator epoch bump" in document["next_action"]) == (3, "PAUSED", True)


def test_a_deferred_sync_ends_with_75_and_says_who_finishes_it(desk: Desk) -> None:
    answers = [httpx.Response(202, json={"status": "deferred", "code": "DEADLINE"}) for _ in range(2)]
    desk.functions.instead = answers
    status, out = desk.run("sync")
    assert (status, "the next poll finishes it" in out) == (75, True)
    assert desk.json("sync") == (75, {"status": "deferred", "code": "DEADLINE"})


def test_what_was_rolled_back_is_released(desk: Desk) -> None:
    desk.write("a")
    desk.run("rollback", "1-1", "--yes")
    assert "rolled_back: until the skill changes" in desk.run("withheld")[1]
    status, document = desk.json("release", "a")
    assert (status, document["skills"]) == (0, [{"name": "a", "version": "1.1.0"}])


def test_a_release_that_the_rules_refuse_ends_with_1_and_says_so(desk: Desk) -> None:
    mixed(desk)
    status, _ = desk.run("release", "d")
    assert (status, "not released: d" in desk.err) == (1, True)
    status, document = desk.json("release", "nothing-of-ours")
    assert (status, document["code"]) == (1, "NOT_WITHHELD")


def test_the_preview_of_a_rollback_is_what_it_then_does(desk: Desk) -> None:
    mixed(desk)
    status, document = desk.json("rollback", "1-1", "--yes")
    planned, done = document["preview"], document["outcome"]
    assert (status, done["status"]) == (0, "deployed")
    changed = [(each["name"], each["version"]) for each in planned["published"]]
    assert changed == [(each["name"], each["version"]) for each in done["skills"]] == [("a", "1.0.0"), ("b", "1.0.0")]
    assert planned["removed"] == done["removed"] == ["c"]
    assert planned["held_back"] == [each["name"] for each in done["rejected"]] == ["a", "b", "c"]
    assert "Another deployment" not in desk.err


def test_a_rollback_for_people_shows_each_skill_before_and_after(desk: Desk) -> None:
    mixed(desk)
    status, out = desk.run("rollback", "1-1", "--dry-run")
    words = " ".join(out.split())
    assert (status, live(desk)) == (0, "1-2")
    assert all(each in words for each in ("change a 1.1.0 1.0.0", "add b 1.0.0", "remove c", "a, b, c", "rollback 1-2"))
    status, out = desk.run("rollback", "1-1", "--yes")
    assert (status, "deployed 1-3" in out, live(desk)) == (0, True, "1-3")


def test_without_a_terminal_a_rollback_needs_yes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.write("a")
    monkeypatch.setattr("sys.stdin", io.StringIO("1-1\n"))
    status, document = desk.json("rollback", "1-1")
    assert (status, document["code"], "--yes" in desk.err, live(desk)) == (64, "NOT_CONFIRMED", True, "1-2")
    assert not [request for request in desk.functions.asked if request.method == "POST"]


@pytest.mark.parametrize(("typed", "status", "now"), [("1-1", 0, "1-3"), ("y", 1, "1-2"), ("", 1, "1-2")])
def test_on_a_terminal_a_rollback_is_confirmed_by_the_deployments_id(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, typed: str, status: int, now: str
) -> None:
    desk.write("a")
    monkeypatch.setattr("sys.stdin", Terminal(f"{typed}\n"))
    assert desk.run("rollback", "1-1")[0] == status
    assert 'Type "1-1"' in desk.err
    assert live(desk) == now


def test_a_rollback_to_what_is_live_changes_nothing_and_asks_nobody(desk: Desk) -> None:
    status, out = desk.run("rollback", "1-1")
    assert (status, "would change nothing" in out, live(desk)) == (0, True, "1-1")


def test_a_deployment_that_came_in_between_is_told(desk: Desk) -> None:
    desk.write("a")
    done = {"status": "deployed", "skills": [{"name": "zz", "version": "1"}], "removed": [], "rejected": []}
    planned = desk.json("rollback", "1-1", "--dry-run")[1]["preview"]
    desk.functions.instead = [httpx.Response(200, json=planned), httpx.Response(200, json=done)]
    assert desk.run("rollback", "1-1", "--yes")[0] == 0
    assert "Another deployment came in between" in desk.err


@pytest.mark.parametrize("words", [*ALL[1:], ["rollback", "1-1", "--yes"]])
def test_a_wrong_key_ends_with_77_and_is_never_printed(desk: Desk, words: list[str]) -> None:
    desk.cloud.set("MANUAL_SYNC_API_KEY", API_KEY)
    desk.functions.instead = [httpx.Response(401, json={"error": f"not {API_KEY}", "code": "API_KEY_INVALID"})]
    status, out = desk.run(*words)
    assert (status, out, "[API_KEY_INVALID]" in desk.err, API_KEY in desk.err) == (77, "", True, False)


@pytest.mark.parametrize("words", ASKING)
def test_functions_that_do_not_answer_end_with_69(desk: Desk, words: list[str]) -> None:
    desk.functions.instead = [httpx.ReadTimeout("slow")]
    status, document = desk.json(*words)
    assert (status, document["code"], f"{ADDRESS} does not answer" in desk.err) == (69, "UNREACHABLE", True)


@pytest.mark.parametrize("words", ALL)
def test_a_503_that_asks_for_a_long_pause_is_told_with_it(desk: Desk, words: list[str]) -> None:
    down = {"error": "GitHub is down", "code": "SOURCE_UNAVAILABLE"}
    desk.functions.instead = [httpx.Response(503, json=down, headers={"Retry-After": "30"})]
    status, _ = desk.run(*words)
    assert (status, "GitHub is down; try again in 30 s [SOURCE_UNAVAILABLE]" in desk.err) == (69, True)


def test_a_setting_that_is_missing_ends_with_78_and_is_named(desk: Desk) -> None:
    desk.cloud.set("SKILL_SYNC_URL", None)
    status, document = desk.json("status")
    assert (status, document["code"], "SKILL_SYNC_URL" in desk.err) == (78, "CONFIG_MISSING", True)
    desk.cloud.set("SKILL_SYNC_URL", ADDRESS)
    desk.cloud.set("MANUAL_SYNC_API_KEY", None)
    assert desk.run("sync")[0] == 78


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["status", "--jsno"], ["show"], ["show", "x"], ["show", "1-0"], ["history", "--limit", "0"]],
)
def test_wrong_arguments_end_with_64_which_is_no_verdict_on_health(desk: Desk, words: list[str]) -> None:
    assert desk.run(*words) == (64, "")
    assert desk.functions.asked == []


@pytest.mark.parametrize("name", COMMANDS)
def test_help_teaches_the_settings_and_the_exit_statuses(desk: Desk, name: str) -> None:
    status, out = desk.run(name, "--help")
    assert (status, "SKILL_SYNC_URL" in out, "--json" in out) == (0, True, True)
    assert all(f"{code.value:>3}  {meaning}" in out for code, meaning in MEANINGS)


def test_the_readme_has_the_same_exit_statuses_and_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert exit_table() in readme
    assert not [name for name in COMMANDS if f"| `{name}" not in readme]


def test_interrupted_it_ends_with_130(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.functions, "handle_request", interrupted)
    assert (desk.run("sync")[0], "may still happen" in desk.err) == (130, True)


def test_a_name_that_the_terminals_encoding_lacks_is_escaped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"ü": {"reason": "rejected"}}
    desk.functions.instead = [httpx.Response(200, json={"deploymentId": "1-1", "withheld": held, "next": None})]
    written = io.BytesIO()
    with io.TextIOWrapper(written, encoding="ascii") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        assert desk.run("withheld")[0] == 0
        stream.flush()
        assert b"\\xfc" in written.getvalue()


def test_json_holds_whatever_text_there_is_in_ascii(desk: Desk) -> None:
    mixed(desk)
    _, out = desk.run("withheld", "--json")
    assert out.isascii()
    assert HOSTILE in json.loads(out)["withheld"]
