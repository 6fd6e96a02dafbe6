"""No block of README's quick start escapes the two tests that run them."""

from __future__ import annotations

import pytest

from tests.infra.quick_start import CLOUD, HERE, README, UnfencedError, blocks


def test_every_block_of_the_quick_start_stands_in_a_section_that_is_run() -> None:
    assert {block.section for block in blocks(README.read_text(encoding="utf-8"))} == {HERE, CLOUD}


@pytest.mark.parametrize(
    "text",
    ["```\nmake run\n```\n", "```bash\nmake run\n```\n", "    make run\n", "1. Do.\n\n        make run\n"],
)
def test_a_block_that_no_test_would_see_is_refused(text: str) -> None:
    with pytest.raises(UnfencedError):
        blocks(f"# A project\n\n## Quick start\n\n### Here\n\n{text}")


def test_a_block_of_a_step_is_read_without_its_indentation_and_only_from_the_quick_start() -> None:
    step = "2. Do.\n\n    ```sh\n    b <<END\n      c\n    END\n    ```\n"
    (found,) = blocks(f"```sh\na\n```\n## Quick start\n### There\n{step}## Else\n    d\n")
    assert (found.section, found.step, found.text) == ("There", 2, "b <<END\n  c\nEND")
