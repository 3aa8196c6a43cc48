"""Header fields as they were on the wire: order, case, repetition, and nothing that injects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.errors import BadRequest, BadResponse
from meshproxy.http import headers as room
from meshproxy.http.headers import (
    TOKEN,
    Headers,
    line,
    lines_of,
    of,
    parse_fields,
    prefix,
    quoted,
    value_of,
)

FIELDS = [b"X-One: 1", b"x-two:\t2 ", b"X-ONE:3", b"Empty:"]


@pytest.fixture
def parsed() -> Headers:
    return parse_fields(FIELDS[:], BadRequest)


def test_values_are_found_by_name_in_any_case_and_in_order(parsed: Headers) -> None:
    assert parsed.get(b"x-one") == b"1"
    assert parsed.get_all(b"x-one") == [b"1", b"3"]
    assert parsed.get(b"x-two") == b"2"
    assert parsed.get(b"empty") == b""
    assert parsed.get(b"none") is None
    assert list(parsed.items()) == [
        (b"x-one", b"1"),
        (b"x-two", b"2"),
        (b"x-one", b"3"),
        (b"empty", b""),
    ]


def test_lines_are_kept_as_they_came(parsed: Headers) -> None:
    assert parsed.lines == FIELDS
    assert len(parsed) == 4
    assert b"x-two" in parsed
    assert b"X-Two" not in parsed
    assert "X-One: 1" in repr(parsed)


def test_only_spaces_and_tabs_are_trimmed() -> None:
    headers = parse_fields([b"X: \t\xa0\x85v\xa0\x85\t "], BadRequest)
    assert headers.get(b"x") == b"\xa0\x85v\xa0\x85"


def test_set_replaces_every_field_of_the_name(parsed: Headers) -> None:
    parsed.set(b"X-One", b"new")
    assert parsed.get_all(b"x-one") == [b"new"]
    assert parsed.lines == [FIELDS[1], FIELDS[3], b"X-One: new"]


def test_removing_leaves_the_others(parsed: Headers) -> None:
    parsed.remove(b"x-one")
    parsed.remove(b"none")
    assert parsed.lines == [FIELDS[1], FIELDS[3]]
    parsed.remove_where(lambda name: name.startswith(b"x-"))
    assert (parsed.names, parsed.lines) == ([b"empty"], [b"Empty:"])


def test_what_is_known_to_be_valid_is_written_like_the_rest(parsed: Headers) -> None:
    for headers in (parsed, Headers()):
        before = headers.lines[:]
        headers.write(b"x-own", b"2")
        headers.write_line(b"date", line(b"Date", b"now"))
        assert headers.lines == [*before, b"x-own: 2", b"Date: now"]
        assert headers.names[-2:] == [b"x-own", b"date"]


def test_lines_are_made_of_names_and_values_and_read_again() -> None:
    lines = lines_of([b"a", b"b"], [b"1", b""])
    assert lines == (b"a: 1", b"b: ") == (prefix(b"a") + b"1", prefix(b"b"))
    assert [value_of(each) for each in (*lines, b"c:\t x: y ")] == [b"1", b"", b"x: y"]


def test_a_copy_is_independent(parsed: Headers) -> None:
    copy = parsed.copy()
    copy.remove(b"x-one")
    copy.add(b"New", b"1")
    assert parsed.lines == FIELDS


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"\r\nX: y", b"a\0", b"\x1f", b"\x7f"])
def test_a_value_that_would_inject_is_never_added(value: bytes) -> None:
    with pytest.raises(ValueError, match="not a header field"):
        of((b"X", value))


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", b"\xe9", b"(x)"])
def test_a_name_that_is_no_token_is_never_added(name: bytes) -> None:
    with pytest.raises(ValueError, match="not a header field"):
        Headers().set(name, b"x")


@pytest.mark.parametrize(
    "line", [b"", b"X", b": v", b" X: v", b"\tX: v", b"X : v", b"X\t: v", b"X[]: v", b"\xe9: v"]
)
@pytest.mark.parametrize("refused", [BadRequest, BadResponse])
def test_a_line_that_is_no_field_is_refused(line: bytes, refused: type[Exception]) -> None:
    parse_fields([b"X: v"], refused)
    with pytest.raises(refused):
        parse_fields([b"A: b", line], refused)


def test_a_known_name_without_a_colon_is_refused() -> None:
    parse_fields([b"Host: a"], BadRequest)
    with pytest.raises(BadRequest):
        parse_fields([b"Host"], BadRequest)


def test_what_is_remembered_is_bounded() -> None:
    for number in range(10_000):
        parse_fields([b"X-%d: 1" % number, b"Host: h%d" % number], BadRequest)
    assert len(room._known) <= 4096
    assert len(room._lines) <= 4096
    headers = parse_fields([b"X-9999: 1", b"Host: h0"], BadRequest)
    assert headers.names == [b"x-9999", b"host"]


names = st.from_regex(TOKEN.__self__, fullmatch=True)
values = st.text(st.sampled_from([chr(c) for c in (9, *range(32, 127), *range(128, 256))])).map(
    lambda text: text.encode("latin-1")
)


@given(st.lists(st.tuples(names, values), max_size=8))
def test_what_was_added_is_read_back(fields: list[tuple[bytes, bytes]]) -> None:
    again = parse_fields(of(*fields).lines, BadRequest)
    assert list(again.items()) == [(name.lower(), value.strip(b" \t")) for name, value in fields]
    for name in {name.lower() for name, _ in fields}:
        assert again.get_all(name) == [v for n, v in again.items() if n == name]
        assert again.get(name) == again.get_all(name)[0]


def test_text_is_answered_by_text_whatever_its_case() -> None:
    headers = of((b"X-User", b"caf\xe9"), (b"x-user", b"b"))
    assert (headers.get("x-USER"), headers.get_all("X-User")) == ("caf\xe9", ["caf\xe9", "b"])
    headers.set("X-Other", "1")
    assert ("x-other" in headers, headers.get(b"x-other")) == (True, b"1")
    headers.remove("X-USER")
    assert ("x-user" in headers, headers.get("nothing"), headers.get_all("nothing")) == (
        False,
        None,
        [],
    )


def test_bytes_in_the_wrong_case_are_an_error_not_an_absent_field() -> None:
    with pytest.raises(ValueError, match="give text for any case"):
        of((b"X-User", b"a")).get(b"X-User")


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("X-User", "\u20ac", "latin-1"),
        ("X User", "a", "not a header field"),
        ("X-User", "a\r\nb: c", "not a header field"),
    ],
)
def test_text_that_cannot_be_a_field_is_refused(name: str, value: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Headers().add(name, value)


def test_an_error_quotes_the_wire_without_its_controls() -> None:
    assert quoted(b"a\tb\r\n\x00\xe9" + b"x" * 99) == "`a?b???\xe9" + "x" * 57 + "`"
