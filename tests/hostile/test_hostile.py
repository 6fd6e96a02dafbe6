"""Every hostile case ends in its findings, and in nothing but findings; so does whatever hypothesis makes up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.archive import unpack
from shared.model import Kind, Severity
from tests.hostile.cases import BODY, GOOD, HEAD, Case, cases
from tests.hostile.gate import Folder, codes, judged

LEAST_CASES = 120


def test_there_are_enough_cases_and_each_has_a_name_of_its_own() -> None:
    names = [case.name for case in cases()]
    assert len(names) >= LEAST_CASES
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("with_sizes", [True, False], ids=["sizes known", "sizes unknown"])
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_a_hostile_skill_is_told_by_its_codes(case: Case, *, with_sizes: bool) -> None:
    verdict = judged(case.folder, with_sizes=with_sizes)
    found = codes(verdict)
    assert case.keeps_out | case.warns <= found, found
    assert (verdict.candidate is None) == bool(case.keeps_out), found
    errors = {item.code for item in verdict.findings if item.severity is Severity.ERROR}
    assert errors == case.keeps_out


def check(folder: Folder) -> None:
    """What holds for any folder at all."""
    verdict = judged(folder)
    errors = [item for item in verdict.findings if item.severity is Severity.ERROR]
    assert (verdict.candidate is None) == bool(errors)
    if verdict.candidate is not None:
        held = {file.path: file.data for file in unpack(verdict.candidate.archive)}
        assert held["SKILL.md"] == folder.files["SKILL.md"]
        assert all(folder.files[path] == data for path, data in held.items())
        assert [entry.path for entry in verdict.candidate.skill.files] == sorted(held)


@given(st.binary(max_size=2000))
def test_any_bytes_may_be_a_skill_file(data: bytes) -> None:
    check(Folder(files={"SKILL.md": data}))


YAMLISH = st.text(st.sampled_from("ab:-?|>&*!%@`'\"[]{},# \n\t\\x0<=~.\u0085\u2028\ufeff\U000e0041"), max_size=300)


@given(YAMLISH)
def test_any_text_like_yaml_may_be_a_frontmatter(text: str) -> None:
    check(Folder(files={"SKILL.md": f"---\n{HEAD}{text}\n---\n{BODY}".encode("utf-8", "surrogatepass")}))


@given(
    st.dictionaries(
        st.text(max_size=40).filter(lambda path: path not in {"SKILL.md", "skill.md"}),
        st.tuples(st.binary(max_size=60), st.sampled_from([kind for kind in Kind if kind is not Kind.FOLDER])),
        max_size=6,
    ),
    st.text(max_size=20),
)
def test_any_paths_and_kinds_may_stand_beside_it(others: dict[str, tuple[bytes, Kind]], name: str) -> None:
    files = {"SKILL.md": GOOD, **{path: data for path, (data, _) in others.items()}}
    kinds = {path: kind for path, (_, kind) in others.items()}
    check(Folder(files=files, name=name or "a", kinds=kinds))
