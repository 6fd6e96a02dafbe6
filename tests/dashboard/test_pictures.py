"""README shows the dashboard as it is: whoever changes its look takes the pictures again, by `make screenshots`."""

from __future__ import annotations

from tests.browser.look import IN_README, NOTED, ROOT, SHOWN, digest_of_the_look


def test_readme_s_pictures_show_the_look_of_now() -> None:
    assert NOTED.read_text().strip() == digest_of_the_look()


def test_readme_shows_them() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in IN_README:
        assert f"(infra/dashboard/{name})" in readme
        assert (SHOWN / name).read_bytes().startswith(b"\x89PNG")
