from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.core.frontmatter import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_EVENTS,
    Frontmatter,
    FrontmatterError,
    read_frontmatter,
    read_yaml,
)

BOM = b"\xef\xbb\xbf"
SECONDS = 1.0
"""Of this thread's own processor time. The worst hostile case took 1.5 ms; what explodes takes many seconds.

Between the two lies what Python's collector takes for itself in a large process, whichever test it meets.
"""


def refused(data: bytes) -> tuple[str, int]:
    started = time.thread_time()
    with pytest.raises(FrontmatterError) as caught:
        read_frontmatter(data)
    assert time.thread_time() - started < SECONDS
    return caught.value.code, caught.value.line


def between(yaml: str) -> bytes:
    return f"---\n{yaml}\n---\nText\n".encode()


def code_of(yaml: str) -> str:
    return refused(between(yaml))[0]


def members(yaml: str) -> object:
    return read_frontmatter(between(yaml)).members


# What stands around the YAML


@pytest.mark.parametrize(
    "data",
    [
        b"---\na: b\n---\n",
        b"---\na: b\n---",
        b"---\r\na: b\r\n---\r\n",
        b"---\r\na: b\r\n---",
        b"--- \t\na: b\n---\t \n",
        BOM + b"---\na: b\n---\n",
        BOM + b"---\r\na: b\r\n---\r\nText\r\n",
        b"---\na: b\n---\n---\nc: d\n---\n",
        b"---\n\n\na: b\n\n---\n",
        b"---\n# only a comment\na: b # another\n---\n",
    ],
)
def test_frontmatter_stands_between_two_lines_of_three_hyphens(data: bytes) -> None:
    assert read_frontmatter(data).members == {"a": "b"}


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\n", b"Text", b"a: b\n", b"---", b"---\n", b"---\na: b\n", b"---\na: b\n--\n", b"---\na: b\n --- \n"),
        *(b"\n---\na: b\n---\n", b" ---\na: b\n---\n", b"----\na: b\n---\n", b"---a: b\n---\n", b"--- a: b\n---\n"),
        *(
            BOM + BOM + b"---\na: b\n---\n",
            b"---\ra: b\r---\r",
            b"+++\na = 1\n+++\n",
            "\u200b---\na: b\n---\n".encode(),
        ),
        *(b"---\na: b\n----\n", b"---\na: b\n---x\n", b"---\na: b\n--- x\n", b"---\na: b\n...\n"),
    ],
)
def test_a_file_without_closed_frontmatter_is_refused(data: bytes) -> None:
    assert refused(data) == ("FM_MISSING", 1)


@pytest.mark.parametrize("data", [b"---\n---\n", b"---\n\n---\n", b"---\n# x\n---\n", b"---\n~\n---\n"])
def test_an_empty_frontmatter_has_no_members(data: bytes) -> None:
    assert read_frontmatter(data) == Frontmatter(members={}, lines={})


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"---\na: \xff\n---\n", 2),
        (b"---\na: b\n---\nText \xc3\n\n", 4),
        (b"---\na: \xed\xa0\x80\n---\n", 2),
        (b"---\na: \xc0\xaf\n---\n", 2),
        ("---\na: b\n---\n".encode("utf-16"), 1),
        ("---\na: b\n---\n".encode("utf-16-be"), 1),
        (b"---\na: b\0\n---\n", 2),
        (b"---\na: b\n---\n\nText\0", 5),
        (BOM + b"---\na: b\n---\n\0", 4),
    ],
)
def test_a_file_that_is_not_utf8_or_holds_a_nul_is_refused_with_the_line(data: bytes, line: int) -> None:
    assert refused(data) == ("ENCODING_INVALID", line)


def sized(size: int, ending: bytes = b"\n---\n") -> bytes:
    head = b"a: b\n#"
    return b"---\n" + head + b"x" * (size - len(head) - 1) + ending


def test_frontmatter_of_sixteen_kibibytes_is_read_and_one_byte_more_is_not() -> None:
    assert read_frontmatter(sized(MAX_BYTES)).members == {"a": "b"}
    assert refused(sized(MAX_BYTES + 1)) == ("FM_TOO_LARGE", 1)
    assert refused(sized(10 * MAX_BYTES)) == ("FM_TOO_LARGE", 1)


def test_the_bound_counts_bytes_so_that_it_means_the_same_in_every_language() -> None:
    assert code_of("a: " + "ä" * (MAX_BYTES // 2)) == "FM_TOO_LARGE"


@pytest.mark.parametrize("at", range(MAX_BYTES - 3, MAX_BYTES + 9))
def test_a_line_that_only_begins_with_three_hyphens_closes_nothing_even_at_the_bound(at: int) -> None:
    head = "a: b\n#" + "ä" * 8000
    filler = "x" * (at - len(head.encode()) - 1)
    assert refused(between(f"{head}{filler}\n---: more\n#{'y' * 20}")) == ("FM_TOO_LARGE", 1)


# What the YAML says


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("a: 1.10", {"a": "1.10"}),
        ("a: yes\nb: NO\nc: on", {"a": "yes", "b": "NO", "c": "on"}),
        (
            "a: 010\nb: 0x1F\nc: 1_000\nd: 1e3\ne: .inf\nf: 12:30:45",
            {"a": "010", "b": "0x1F", "c": "1_000", "d": "1e3", "e": ".inf", "f": "12:30:45"},
        ),
        ("a: 2026-99-99\nb: 2026-01-01", {"a": "2026-99-99", "b": "2026-01-01"}),
        ("a: " + "9" * 4301, {"a": "9" * 4301}),
        ("a: ~\nb: null\nc: Null\nd: NULL\ne:", dict.fromkeys("abcde", "")),
        ("a: '~'\nb: \"null\"\nc: nUll\nd: |-\n  null", {"a": "~", "b": "null", "c": "nUll", "d": "null"}),
        ("a: 'it''s'\nb: \"x\\ty\"", {"a": "it's", "b": "x\ty"}),
        ("a: >\n  x\n  y\nb: |-\n  x\n  y", {"a": "x y\n", "b": "x\ny"}),
        ("a: [b, 'c', {d: e}]\nf:\n  - g\n  - - h", {"a": ["b", "c", {"d": "e"}], "f": ["g", ["h"]]}),
        ("'a b': c\n\"d\": e\n1: f\ntrue: g", {"a b": "c", "d": "e", "1": "f", "true": "g"}),
        ("{}", {}),
        ('{"a": {"b": []}}', {"a": {"b": []}}),
        ("a: Über 日本 🎉", {"a": "Über 日本 🎉"}),
        ("'<<': x\na: '<<'\nb: <<", {"<<": "x", "a": "<<", "b": "<<"}),
        ("a: x & y\nb: 2 * 3\nc: wow!", {"a": "x & y", "b": "2 * 3", "c": "wow!"}),
    ],
)
def test_every_scalar_is_the_text_that_stands_there(yaml: str, expected: object) -> None:
    assert members(yaml) == expected


UNSAFE = {
    "an anchor": "a: &x b",
    "an anchor on a mapping": "a: &x {b: c}",
    "an anchor on a sequence": "a: &x [b]",
    "an anchor on a key": "&x a: b",
    "an anchor on the top": "&x {a: b}",
    "an alias": "a: &x b\nc: *x",
    "an alias to nothing": "a: *x",
    "an alias as key": "*x : b",
    "a billion laughs": "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]",
    "a document inside itself": "&a a: *a",
    "a python object": "a: !!python/object/apply:os.system [id]",
    "a python name": "a: !!python/name:os.system",
    "a tag of YAML itself": "a: !!str b",
    "a tag of its own": "a: !x b",
    "the tag that says nothing": "a: ! b",
    "a verbatim tag": "a: !<tag:yaml.org,2002:str> b",
    "a tag on the top": "!!map {a: b}",
    "a tag on a key": "!!str a: b",
    "a tag declared by a directive": "%TAG ! tag:x,2000:\n--- {a: !x b}",
    "a merge key": "<<: {a: b}",
    "a merge key inside": "a:\n  <<: [{b: c}]",
    "a merge key with alias": "a: &a {b: c}\nd:\n  <<: *a",
    "a duplicate key": "a: b\na: c",
    "a duplicate key in quotes": "a: b\n'a': c",
    "a duplicate key inside": "x: {a: b, a: c}",
    "two nulls as keys": "~: a\nnull: b",
    "a sequence as key": "? [a]\n: b",
    "a mapping as key": "? {a: b}\n: c",
    "a sequence as key in flow": "{[a]: b}",
    "next line": "a: b\u0085c: d",
    "line separator": "a: 'b\u2028c'",
    "paragraph separator": "# \u2029",
}
TOO_COMPLEX = {
    "32,000 brackets": "[" * 16_000,
    "500 brackets": "a: " + "[" * 500,
    "500 closed brackets": "a: " + "[" * 500 + "]" * 500,
    "braces": "{a: " * 4000,
    "block sequences": "- " * 8000,
    "deep block mappings": "\n".join(" " * level + "a:" for level in range(120)),
    "too many entries": "a: [" + "1," * 5000 + "]",
    "too many keys": "\n".join(f"k{number}:" for number in range(2000)),
    "two documents": "a: b\n--- {c: d}",
    "two documents in one line": "a: b\n--- x",
    "a second document that is empty": "a: b\n--- #",
}
SYNTAX = {
    "an unquoted colon": "a: b: c",
    "an open quote": "a: 'b",
    "an open bracket": "a: [b",
    "a wrong bracket": "a: [b}",
    "a tab as indent": "a:\n\tb: c",
    "a bad escape": 'a: "\\q"',
    "a control character": "a: \x07",
    "an escape character": "a: \x1b[0m",
    "a key without value among members": "a: b\nc",
    "wrong indents": "a: b\n  c: d",
    "a value that begins with %": "a: %b",
    "a value that begins with @": "a: @b",
    "a value that begins with a backtick": "a: `b",
    "a list": "- a",
    "a text": "just text",
    "a number": "42",
    "a directive alone": "%YAML 1.1",
    "a directive of a version that does not exist": "%YAML 99999999999999999999.1\n--- {a: b}",
    "a byte order mark in the middle": "a: b\n\ufeffc: d",
}


@pytest.mark.parametrize("yaml", UNSAFE.values(), ids=UNSAFE)
def test_what_readers_disagree_about_is_refused(yaml: str) -> None:
    assert code_of(yaml) == "FM_UNSAFE"


@pytest.mark.parametrize("yaml", TOO_COMPLEX.values(), ids=TOO_COMPLEX)
def test_what_costs_much_is_refused_before_it_does(yaml: str) -> None:
    assert code_of(yaml) == "FM_TOO_COMPLEX"


@pytest.mark.parametrize("yaml", SYNTAX.values(), ids=SYNTAX)
def test_what_is_no_yaml_mapping_is_refused(yaml: str) -> None:
    assert code_of(yaml) == "FM_SYNTAX"


@pytest.mark.parametrize(
    "yaml",
    [
        "a:" + " " * 16_000 + "x\n b: [",
        "a:" + "\t" * 16_000 + "x\n b: [",
        "a: " + "b:" * 8000 + "\n c: [",
        "a: " + "b: " * 5000,
        "'" * 16_001,
        '"' + "\\x41" * 4000,
        "? " * 8000,
        "&a " * 5000,
        "!a " * 5000,
        "a: |\n" + " \n" * 8000 + "]",
        "#" * 16_000 + "\n]",
        "%" * 16_000,
        "\n" * 16_000 + "]",
        "a" * 16_000,
        "a: b\n" * 3000,
        "- ? : " * 2600,
    ],
)
def test_no_text_of_sixteen_kibibytes_takes_long_to_refuse(yaml: str) -> None:
    assert code_of(yaml)


def test_sixteen_levels_are_read_and_seventeen_are_not() -> None:
    def nested(levels: int) -> str:
        return "a: " + "[" * (levels - 1) + "x" + "]" * (levels - 1)

    assert members(nested(MAX_DEPTH))
    assert code_of(nested(MAX_DEPTH + 1)) == "FM_TOO_COMPLEX"


def test_four_thousand_events_are_read_and_one_more_is_not() -> None:
    frame = 8  # stream, document, mapping and sequence, each begun and ended
    fits = MAX_EVENTS - frame - 1
    assert members("a: [" + "1," * fits + "]")
    assert code_of("a: [" + "1," * (fits + 1) + "]") == "FM_TOO_COMPLEX"


# Where the fault stands


@pytest.mark.parametrize(
    ("yaml", "code", "line"),
    [
        ("a: b\nc: &x d", "FM_UNSAFE", 3),
        ("a: b\nc: d\na: e", "FM_UNSAFE", 4),
        ("a: b\n\n# \u2028", "FM_UNSAFE", 4),
        ("a: b\n--- {c: d}", "FM_TOO_COMPLEX", 3),
        ("a: b\ndescription: Use when: always", "FM_SYNTAX", 3),
        ("a: b\nc: 'x", "FM_SYNTAX", 3),
        ("a:\n  - b\n - c", "FM_SYNTAX", 4),
        ("- a", "FM_SYNTAX", 2),
    ],
)
def test_the_line_of_a_fault_is_counted_in_the_whole_file(yaml: str, code: str, line: int) -> None:
    assert refused(between(yaml)) == (code, line)
    assert refused(between(yaml).replace(b"\n", b"\r\n")) == (code, line)
    assert refused(BOM + between(yaml)) == (code, line)


def test_the_line_of_a_fault_lies_inside_the_frontmatter() -> None:
    for yaml in SYNTAX.values():
        assert 2 <= refused(between(yaml))[1] <= 2 + yaml.count("\n")


@pytest.mark.parametrize(
    ("yaml", "key"),
    [
        ("description: Use when: always", "description"),
        ("name: x\ndescription: Use this: it helps\nversion: 1.0.0", "description"),
        ("name: a: b", "name"),
        ("some-key_x: a: b", "some-key_x"),
        ("a: 'b: c", ""),
        ("a: [b: c", ""),
        ("a: b:c", None),
        ('a: "x: y" z', ""),
        ("x" * 41 + ": b: c", ""),
    ],
)
def test_an_unquoted_colon_is_named_by_its_key_and_its_value_is_not_repeated(yaml: str, key: str | None) -> None:
    if key is None:
        assert members(yaml)
        return
    with pytest.raises(FrontmatterError) as caught:
        read_frontmatter(between(yaml))
    assert (caught.value.code, caught.value.unquoted) == ("FM_SYNTAX", key)


def test_each_top_level_member_knows_its_line() -> None:
    found = read_frontmatter(
        b"---\r\n# x\r\nname: a\r\ndescription: >\r\n  b\r\n\r\n  c\r\nversion: {name: d}\r\n---\r\n"
    )
    assert found.lines == {"name": 3, "description": 4, "version": 8}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [(("a",), None), (("a", "b"), "c"), (("a", "x"), None), (("a", "b", "c"), None), (("l",), None), ((), None)],
)
def test_text_finds_a_string_below_its_keys_and_nothing_else(keys: tuple[str, ...], expected: str | None) -> None:
    assert read_yaml("a: {b: c}\nl: [x]").text(*keys) == expected


# Whatever comes

PARTS = "---§\n§\r§ §\t§:§: §- §? §a§b: c§&x§*x§!t§!!str §<<: §"
PARTS += "[§]§{§}§,§'§\"§#§|§>§%YAML 1.1§...§\\§\ufeff§\x85§\u2028§\0§ä§🎉§\x1b"
FRAGMENTS = st.lists(st.sampled_from(PARTS.split("§")), max_size=40).map("".join)


@given(FRAGMENTS | st.text())
@example("%YAML 1.2\n---\n")
@example("\ufeff")
def test_no_text_raises_anything_but_a_frontmatter_error(text: str) -> None:
    for data in (text.encode(), f"---\n{text}\n---\n".encode()):
        try:
            found = read_frontmatter(data)
        except FrontmatterError as error:
            assert 0 <= error.line <= data.count(b"\n") + data.count(b"\r") + 1  # noqa: PT017 - either end is right
        else:
            assert found.lines.keys() == found.members.keys()


@given(st.binary() | st.binary().map(lambda data: b"---\n" + data + b"\n---\n"))
def test_no_bytes_raise_anything_but_a_frontmatter_error(data: bytes) -> None:
    try:
        read_frontmatter(data)
    except FrontmatterError as error:
        assert error.code.startswith(("FM_", "ENCODING_"))  # noqa: PT017 - either end is right
