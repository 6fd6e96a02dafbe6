"""hot-reload-verification.md: every command as it stands on the page, beside a gateway that reloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from shared.core.report import OUTCOMES
from shared.puller import sighting
from tests.cli.test_run import until
from tests.infra.page_stack import Row, Stack, introduced, own_skill, run_page, section_of, standing, used

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "hot-reload-verification.md"
STATUS = 'curl -s "http://127.0.0.1:$PULLER_PORT/status"'
PULLER = "python -m shared.puller"
REPO = 'git -C "$SKILLS_REPO"'


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    skills = {f"{name}/SKILL.md": own_skill(name) for name in ("alpha", "beta")}
    with standing(tmp_path_factory.mktemp("reload"), skills) as stack:
        stack.values = {
            "SKILL_SYNC_URL": stack.run.url,
            "MANUAL_SYNC_API_KEY": stack.run.keys["MANUAL_SYNC_API_KEY"],
            "GATEWAY_SERVICE": "gateway",
            "GATEWAY_URL": f"http://127.0.0.1:{stack.gateway_port}",
            "GATEWAY_TOKEN": "t" * 32,
            "SKILLS_REPO": str(stack.clone),
            "SKILL": "alpha",
        }
        yield stack


def alpha_is_changed(stack: Stack) -> None:
    stack.push({"alpha/SKILL.md": own_skill("alpha", "Two.")})
    stack.settle()


def the_push_is_live(stack: Stack) -> None:
    until(lambda: stack.run.text("reload-check/SKILL.md") is not None, "the push on the volume")
    stack.go_on_polling()
    stack.settle()


def loaded(path: str) -> str:
    return (
        'curl -s "$GATEWAY_URL/health?check=skills" | '
        f'grep -o "$(sha256sum < "$SKILLS_DIR/{path}/SKILL.md" | cut -d \' \' -f 1)"'
    )


WRITE = (
    "printf -- '---\\nname: reload-check\\ndescription: Proves that a push is loaded; never use it.\\n---\\n"
    'Pushed at %s.\\n\' "$(date -u +%H:%M:%S)" > "$SKILLS_REPO/reload-check/SKILL.md"'
)
FIELDS = ('"deployment"', '"proving"', '"gateway_up"', '"failures"', '"kept"')
ROWS = {
    "printf '%s\\n' \"$GATEWAY_PROBE\"": Row(shows=("/health?check=skills",)),
    f"What the puller says: {STATUS}": Row(shows=FIELDS),
    'curl -s "http://127.0.0.1:$PULLER_PORT/metrics"': Row(
        shows=("skill_sync_puller_gateway_up 1", "skill_sync_puller_proofs_total", 'outcome="holds"', 'outcome="fails"')
    ),
    f"{PULLER} --check": Row(shows=("The release function answers",)),
    "python -m shared.cli status": Row(shows=("current", "hot_reload_success")),
    f"{PULLER} --verify": Row(shows=("The volume is as it was installed",), before=alpha_is_changed),
    loaded("$SKILL"): Row(),
    "openclaw gateway call skills.status --json --params '{}' --token \"$GATEWAY_TOKEN\" --url ws://127.0.0.1:18789": Row(
        shows=('"name"',)
    ),
    'railway logs --service "$GATEWAY_SERVICE" --lines 500 --filter SkillWatcher': Row(
        shows=("[SkillWatcher] Watching", "[SkillWatcher] Skill changed:")
    ),
    'mkdir -p "$SKILLS_REPO/reload-check"': Row(),
    WRITE: Row(),
    f"{REPO} add reload-check": Row(),
    f'{REPO} commit -q -m "Check the reload"': Row(),
    f"{REPO} push origin HEAD": Row(before=Stack.stop_polls, after=the_push_is_live),
    "python -m shared.cli history --limit 1": Row(shows=("success", "webhook")),
    'cat "$SKILLS_DIR/reload-check/SKILL.md"': Row(shows=("Pushed at",)),
    loaded("reload-check"): Row(),
    f"End to end: {STATUS}": Row(shows=('"proving": false', '"failures"')),
}


def test_every_command_of_the_page_does_what_the_page_says(stack: Stack) -> None:
    run_page(stack, PAGE, ROWS)


def test_a_text_that_the_gateway_has_not_loaded_is_told_by_the_look_by_hand(stack: Stack) -> None:
    listed = httpx.get(f"http://127.0.0.1:{stack.gateway_port}/health", timeout=10).json()["skills"]
    assert {each["id"] for each in listed} >= {"alpha", "beta"}
    (stack.folder / "other" / "alpha").mkdir(parents=True)
    (stack.folder / "other" / "alpha" / "SKILL.md").write_text("Not what was loaded.")
    line = loaded("$SKILL").replace("$SKILLS_DIR", str(stack.folder / "other"))
    done = stack.sh(line)
    assert (done.returncode, done.stdout) == (1, "")


def test_every_variable_of_a_command_is_introduced_at_the_top(stack: Stack) -> None:
    assert used(PAGE) <= introduced(PAGE) <= {*stack.values, *stack.puller()}


def test_every_outcome_of_a_report_and_every_code_of_a_look_is_explained() -> None:
    section = section_of(PAGE, "What the puller says")
    codes = {value for value in vars(sighting).values() if isinstance(value, str) and value.startswith("gateway_")}
    assert len(codes) >= 8
    assert [word for word in (*OUTCOMES, *sorted(codes)) if f"`{word}`" not in section] == []
