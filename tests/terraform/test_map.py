"""One map of functions and settings: Terraform's, the code's and the pages' say the same."""

from __future__ import annotations

import re
import sys
from dataclasses import fields

import pytest

from functions import main
from shared.config import Settings
from tests.terraform.real_terraform import CONFIGURATION, ROOT

Table = dict[str, dict[str, dict[str, object]]]
CLOUD = {"cloud", "both"}
_MIB = {"512Mi": 512, "1Gi": 1024}


def roles_table(table: Table) -> str:
    """README's table of roles, as the map has it."""
    rows = ["| function | called by | reads the bucket | writes in the bucket | secrets |", "|---|---|---|---|---|"]
    for name, each in table["functions"].items():
        writes, secrets = each["writes"], each["secrets"]
        assert isinstance(writes, list)
        assert isinstance(secrets, list)
        told = ", ".join(f"`{part}`" for part in writes) or "nothing"
        held = ", ".join(f"`{part}`" for part in secrets)
        rows.append(f"| `{name}` | {each['caller']} | {'yes' if each['reads'] else 'no'} | {told} | {held} |")
    return "\n".join(rows)


def variables_table() -> str:
    """README's table of variables, as they are declared."""
    rows = ["| variable | default | what it is |", "|---|---|---|"]
    text = (CONFIGURATION / "variables.tf").read_text()
    for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
        default = re.search(r"^  default +?= (.*)$", body, re.MULTILINE)
        what = re.search(r'^  description = "(.*)"$', body, re.MULTILINE)
        told = what[1] if what else "The lines of deployments, by name; see below."
        rows.append(f"| `{name}` | {f'`{default[1]}`' if default else ''} | {told} |")
    return "\n".join(rows)


def test_the_map_holds_every_entry_point_and_nothing_else(table: Table) -> None:
    assert sorted(table["functions"]) == sorted(main.__all__)
    assert sorted(table["layouts"]["each"]) == sorted(main.__all__)
    assert set(table["layouts"]["app"]) == {"app", "poll"}


def test_the_projects_readme_names_every_function_of_the_map(table: Table) -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in table["functions"] if f"`{name}`" not in readme] == []


def test_the_modules_readme_holds_the_table_of_roles_as_it_is(table: Table) -> None:
    assert roles_table(table) in (CONFIGURATION / "README.md").read_text()


def test_the_modules_readme_holds_the_table_of_variables_as_they_are() -> None:
    assert variables_table() in (CONFIGURATION / "README.md").read_text()


def test_the_modules_readme_names_every_alarm() -> None:
    readme = (CONFIGURATION / "README.md").read_text()
    alarms = re.findall(
        r'display_name += "\$\{local.prefix\}: (.+)"', (CONFIGURATION / "channel" / "alarms.tf").read_text()
    )
    assert [alarm for alarm in alarms if not alarm.startswith("/") and f"| {alarm} |" not in readme] == []


def test_every_setting_of_the_cloud_side_is_a_secret_or_set_or_free_and_only_one_of_them(table: Table) -> None:
    secrets, settings = table["secrets"], table["settings"]
    groups = [*secrets["always"], *secrets["optional"], *settings["set"], *settings["free"]]
    known = [field.metadata["name"] for field in fields(Settings) if field.metadata["side"] in CLOUD]
    assert sorted(groups) == sorted(known)


def test_every_setting_that_the_log_hides_is_kept_as_a_secret(table: Table) -> None:
    hidden = {
        field.metadata["name"]
        for field in fields(Settings)
        if field.metadata["secret"] and field.metadata["side"] in CLOUD
    }
    assert hidden <= {*table["secrets"]["always"], *table["secrets"]["optional"]}


def test_what_the_module_sets_itself_stands_in_its_text(table: Table) -> None:
    text = (CONFIGURATION / "channel" / "functions.tf").read_text()
    assert [name for name in table["settings"]["set"] if not re.search(rf"^ +{name} +=", text, re.MULTILINE)] == []


def test_who_serves_the_webhook_may_ask_for_a_poll_and_nobody_else(table: Table) -> None:
    serving = {
        name
        for name in main.__all__
        if any(route.path == "/webhook/github" for route in sys.modules[f"functions.{name}"].ROUTES)
    }
    assert {name for name, each in table["functions"].items() if each.get("defers")} == serving
    (told,) = re.findall(
        r"^- With `deferred_queue`, (.+) have `roles/", (CONFIGURATION / "README.md").read_text(), re.MULTILINE
    )
    assert set(re.findall(r"`(\w+)`", told)) == serving


def test_functions_hold_only_secrets_that_exist(table: Table) -> None:
    known = {*table["secrets"]["always"], *table["secrets"]["optional"]}
    for each in table["functions"].values():
        assert set(each["secrets"]) <= known


@pytest.mark.parametrize("name", [name for name in main.__all__ if name != "app"])
def test_the_app_may_do_whatever_another_function_may(table: Table, name: str) -> None:
    app, other = table["functions"]["app"], table["functions"][name]
    assert set(other["secrets"]) <= set(app["secrets"])
    assert set(other["writes"]) <= set(app["writes"])


def test_who_judges_skills_has_room_for_the_judge_and_who_does_not_is_small(table: Table) -> None:
    memory = {name: _MIB[str(each["memory"])] for name, each in table["functions"].items()}
    assert {name for name, size in memory.items() if size < 1024} == {"release", "status"}
