"""Links lead to the forge and the runbook only where these are known, and no path leads a link elsewhere."""

from __future__ import annotations

import pytest

from shared.dashboard.links import Links, address, forge_of

SHA = "c" * 40
LINKS = Links(forge="https://github.com/octo/skills", runbook="https://example.com/books")
BLOB = f"https://github.com/octo/skills/blob/{SHA}"


@pytest.mark.parametrize(
    ("path", "line", "link"),
    [
        ("a/SKILL.md", 3, f"{BLOB}/a/SKILL.md?plain=1#L3"),
        ("a/SKILL.md", 0, f"{BLOB}/a/SKILL.md"),
        ("a b/#?%.md", 1, f"{BLOB}/a%20b/%23%3F%25.md?plain=1#L1"),
        ('"><script>', 1, f"{BLOB}/%22%3E%3Cscript%3E?plain=1#L1"),
        ("\u202e\ud800", 1, f"{BLOB}/%E2%80%AE%ED%A0%80?plain=1#L1"),
        ("", 1, ""),
        ("x" * 500, 1, ""),
    ],
)
def test_a_line_s_address_holds_its_path_percent_encoded(path: str, line: int, link: str) -> None:
    assert LINKS.line(SHA, path, line) == link


@pytest.mark.parametrize("commit", ["", "HEAD", "c" * 39, "C" * 40, "../../evil", None])
def test_what_is_no_commit_is_not_linked(commit: object) -> None:
    assert LINKS.line(commit, "a") == LINKS.commit(commit) == LINKS.compare(SHA, commit) == ""


def test_without_a_forge_or_runbook_nothing_is_linked() -> None:
    assert Links().line(SHA, "a", 1) == Links().commit(SHA) == Links().section("paused") == ""
    assert LINKS.section("paused") == "https://example.com/books/operations.md#paused"


@pytest.mark.parametrize(
    ("api", "forge"),
    [
        ("https://api.github.com", "https://github.com/octo/skills"),
        ("https://ghe.example/api/v3", "https://ghe.example/octo/skills"),
        ("http://127.0.0.1:8081/api/v3", ""),
        ("https://proxy.example/github", ""),
        ("javascript:alert(1)", ""),
    ],
)
def test_the_forge_is_known_by_its_api(api: str, forge: str) -> None:
    assert forge_of(api, "octo/skills") == forge


def test_an_address_leaves_out_what_is_empty_and_encodes_the_rest() -> None:
    assert address("/", "skills", q="a&b", state="", after=None) == "/?q=a%26b#skills"
    assert address("/") == "/"
