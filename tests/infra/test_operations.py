"""operations.md: every command as it stands on the page, against everything that it speaks to, running."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.test_run import until
from tests.infra.page_stack import Row, Stack, introduced, own_skill, run_page, section_of, standing, used
from tests.repos import git_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "operations.md"
NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    skills = {f"{name}/SKILL.md": own_skill(name) for name in NAMES}
    with standing(tmp_path_factory.mktemp("operations"), skills) as stack:
        stack.values = {
            "SKILL_SYNC_URL": stack.run.url,
            "MANUAL_SYNC_API_KEY": stack.run.keys["MANUAL_SYNC_API_KEY"],
            "PROJECT": "skills-prod",
            "REGION": "europe-west1",
            "POLL_JOB": "skill-sync-poll",
            "GATEWAY_SERVICE": "gateway",
            "SKILLS_REPO": str(stack.clone),
            "SKILL": "alpha",
            "COMMIT": "",
            "BAD": "1-1",
            "GOOD": "1-1",
            "SYNC": "0" * 32,
        }
        yield stack


def a_bad_skill_is_pushed(stack: Stack) -> None:
    """Beside a good change, which is published."""
    changes = {"alpha/SKILL.md": own_skill("alpha", "Two."), "bad/SKILL.md": "No frontmatter.\n"}
    stack.values["BAD"] = stack.push(changes)
    stack.values["COMMIT"] = head(stack)


def head(stack: Stack) -> str:
    line = ["git", "-C", str(stack.clone), "rev-parse", "HEAD"]
    return subprocess.run(line, env=git_environment(), capture_output=True, text=True, check=True).stdout.strip()


def the_revert_is_live(stack: Stack) -> None:
    until(lambda: stack.health()["last_deployment"]["commit_sha"] == head(stack), "the revert's deployment")
    stack.settle()
    assert stack.run.text("alpha.md") == own_skill("alpha")
    assert not (stack.clone / "bad").exists()


def a_change_to_go_back_from(stack: Stack) -> None:
    stack.values["GOOD"] = stack.live()
    stack.values["BAD"] = stack.push({"alpha/SKILL.md": own_skill("alpha", "Three.")})
    stack.settle()


def nothing_was_changed(stack: Stack) -> None:
    assert stack.live() == stack.values["BAD"]


def the_good_one_is_live(stack: Stack) -> None:
    stack.settle()
    assert stack.run.text("alpha.md") == own_skill("alpha")


def the_bad_one_is_live(stack: Stack) -> None:
    stack.settle()
    assert stack.run.text("alpha.md") == own_skill("alpha", "Three.")
    stack.values["BAD"] = stack.live()


def the_files_from_before_are_back(stack: Stack) -> None:
    assert stack.run.text("alpha.md") == stack.run.text("alpha/SKILL.md") == own_skill("alpha")
    assert stack.live() == stack.values["BAD"], "nothing but the volume was touched"


def the_puller_took_it_back(stack: Stack) -> None:
    until(lambda: not (stack.run.data / ".skill-sync" / "resume").exists(), "the puller's next look")
    assert stack.status()["kept"] == []


def more_than_half_is_deleted(stack: Stack) -> None:
    stack.values["SKILL"] = "delta"
    stack.push(dict.fromkeys(("delta", "epsilon", "zeta", "eta", "theta")))
    stack.settle()
    assert stack.health()["skills"]["count"] == len(NAMES)


def it_is_gone(stack: Stack) -> None:
    skill = stack.values["SKILL"]
    until(lambda: stack.run.text(f"{skill}.md") is None, "the deletion that was released")
    stack.values["SKILL"] = "epsilon"


STATUS = 'curl -s "http://127.0.0.1:$PULLER_PORT/status"'
READ = "gcloud logging read"
AT = '"$POLL_JOB" --location "$REGION" --project "$PROJECT"'
KEY = '-H "x-api-key: $MANUAL_SYNC_API_KEY" "$SKILL_SYNC_URL'
CLI = "python -m shared.cli"
PULLER = "python -m shared.puller"
REPO = 'git -C "$SKILLS_REPO"'

ROWS = {
    'railway ssh --service "$GATEWAY_SERVICE"': Row(),
    'railway logs --service "$GATEWAY_SERVICE" --lines 200': Row(),
    'railway restart --service "$GATEWAY_SERVICE" --yes': Row(),
    f"gcloud scheduler jobs describe {AT}": Row(shows=("state: ENABLED", "lastAttemptTime")),
    f"gcloud scheduler jobs resume {AT}": Row(),
    f"gcloud scheduler jobs run {AT}": Row(),
    f"""{READ} 'severity>=ERROR OR jsonPayload.message="Call failed"' --project "$PROJECT" --freshness 1h --limit 20""": Row(),
    f"""{READ} 'jsonPayload.message:"Webhook received"' --project "$PROJECT" --freshness 1h --limit 5""": Row(
        shows=("Webhook received: push",),
        before=lambda stack: stack.push({"beta/SKILL.md": own_skill("beta", "Two.")}),
        after=Stack.settle,
    ),
    f'{READ} "jsonPayload.sync=\\"$SYNC\\" OR jsonPayload.during_sync=\\"$SYNC\\"" '
    '--project "$PROJECT" --freshness 7d --limit 200': Row(),
    f"{CLI} status": Row(shows=("healthy",)),
    f"{CLI} doctor": Row(shows=("ok", "warn")),
    f"credential-due: {CLI} rotate status": Row(shows=("state", "ok")),
    f"rotation-open: {CLI} rotate status": Row(shows=("No rotation is open.",)),
    f"{CLI} rotate calendar": Row(shows=("due", "reminders")),
    f"{CLI} sync --dry-run": Row(shows=("would change nothing", "Nothing was changed.")),
    'curl -s "$SKILL_SYNC_URL/health"': Row(shows=('"status"', '"healthy"')),
    f'curl -s {KEY}/api/boot-status"': Row(shows=('"ready": true', '"pass"')),
    f'curl -s {KEY}/api/dr-state"': Row(shows=('"next_action": "none"', "expires_at")),
    f'curl -s -X POST {KEY}/api/poll"': Row(shows=('"status": "unchanged"',)),
    f"{REPO} ls-remote origin HEAD": Row(shows=("HEAD",)),
    f'{REPO} revert --no-edit "$COMMIT"': Row(),
    f"{REPO} push origin HEAD": Row(after=the_revert_is_live),
    f"Skills are not updating: {CLI} history --limit 5": Row(shows=("commit",)),
    f"{CLI} withheld": Row(shows=("Nothing is withheld.",)),
    f"{CLI} sync": Row(shows=("unchanged",)),
    f"Skills are not updating: {STATUS}": Row(shows=('"state": "READY"', '"deployment"', '"failures"')),
    f"{PULLER} --verify": Row(shows=("The volume is as it was installed",)),
    f"Validation failures: {CLI} withheld": Row(
        shows=("rejected", "FM_MISSING", "SKILL.md:1"), before=a_bad_skill_is_pushed
    ),
    f'{CLI} show "$BAD"': Row(shows=("FM_MISSING",)),
    f'{CLI} validate "$SKILLS_REPO"': Row(shows=("FM_MISSING",), status=1),
    f'{CLI} diff "$GOOD" "$BAD"': Row(),
    f"Roll back by a revert: {CLI} history --limit 5": Row(shows=("success", "commit")),
    f'{CLI} rollback "$GOOD" --dry-run': Row(
        shows=("would change", "Nothing was changed."), before=a_change_to_go_back_from, after=nothing_was_changed
    ),
    f'Roll back by command: {CLI} rollback "$GOOD" --yes': Row(
        shows=("deployed", "rolled_back"), after=the_good_one_is_live
    ),
    f'Roll back by command: {CLI} release "$SKILL"': Row(shows=("deployed",), after=the_bad_one_is_live),
    'ls "$BACKUP_DIR"': Row(),
    f"Roll back by hand: {STATUS}": Row(shows=('"proving": false', '"kept"')),
    'cp -r "$BACKUP_DIR/$BAD"/* "$SKILLS_DIR/"': Row(after=the_files_from_before_are_back),
    f"Roll back by hand: {PULLER} --verify": Row(status=1),
    f'Roll back by hand: {CLI} rollback "$GOOD" --yes': Row(after=the_good_one_is_live),
    f"{PULLER} --resume": Row(shows=("The puller resumes at its next look",), after=the_puller_took_it_back),
    f"deletion-guard: {CLI} withheld": Row(shows=("deletion_guard",), before=more_than_half_is_deleted),
    f'deletion-guard: {CLI} release "$SKILL"': Row(shows=("remove",), after=it_is_gone),
    f"failed-health-check: {STATUS}": Row(shows=('"gateway_up"', '"failures"')),
    f"{PULLER} --check": Row(shows=("The release function answers",)),
    f"{CLI} operator dr status": Row(shows=("match_status", "match", "next_action", "next:")),
    f"{CLI} history --limit 50": Row(shows=("rejected", "polling")),
    f"{CLI} gc": Row(shows=("nothing to delete",)),
}


@pytest.mark.timeout(300)
def test_every_command_of_the_page_does_what_the_page_says(stack: Stack) -> None:
    run_page(stack, PAGE, ROWS)


def test_every_variable_of_a_command_is_introduced_at_the_top(stack: Stack) -> None:
    assert used(PAGE) <= introduced(PAGE)
    assert introduced(PAGE) <= {*stack.values, *stack.puller()}


def test_health_is_explained_field_by_field(stack: Stack) -> None:
    section, health = section_of(PAGE, "Health"), stack.health()
    services = health["services"]
    told = [
        *(health.keys() - {"services"}),
        *services,
        *services["poller"],
        *services["webhook"],
        *services["audit"],
        *services["pullers"][0],
    ]
    told += [*health["skills"], *health["last_deployment"]]
    assert [name for name in told if f"`{name}`" not in section and f"services.{name}" not in section] == []


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (f"MANUAL_SYNC_API_KEY={'x' * 40} {CLI} history", 77),
        (f"MANUAL_SYNC_API_KEY={'x' * 40} {CLI} status", 0),
        (f"SKILL_SYNC_URL=http://127.0.0.1:9 {CLI} status", 69),
        (f"SKILL_SYNC_URL=http://127.0.0.1:9 {CLI} doctor", 1),
    ],
)
def test_a_refused_key_and_functions_that_are_down_end_as_the_first_look_says(
    stack: Stack, line: str, status: int
) -> None:
    done = stack.sh(line)
    assert done.returncode == status, done.stdout + done.stderr
    assert status in {0, 1} or str(status) in section_of(PAGE, "First look")
