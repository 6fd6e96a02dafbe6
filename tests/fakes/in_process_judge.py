"""The rules applied in the test's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.core.judge import judge_case

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.core.case import Case, Verdict


class InProcessJudge:
    """A `Judge` that nothing protects."""

    def prepare(self) -> None:
        return

    def __call__(self, cases: Sequence[Case], seconds: float) -> list[Verdict]:  # noqa: ARG002 - it takes the time it needs
        return [judge_case(case) for case in cases]
