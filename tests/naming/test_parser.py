"""The grammar at its edges, and the exact texts of its errors."""

import string

import pytest

from meshproxy.naming.dtab import Dtab
from meshproxy.naming.parser import ParseError
from meshproxy.naming.path import Path
from tests.kit.names import parse_tree

RAW = set(string.ascii_letters + string.digits + "_:.#$%-")
JAVA_SPACE = {
    *range(0x09, 0x0E), *range(0x1C, 0x21), 0x1680, *range(0x2000, 0x2007), *range(0x2008, 0x200B),
    0x2028, 0x2029, 0x205F, 0x3000,
}  # fmt: skip


def accepts(text: str) -> bool:
    try:
        Path.parse(text)
    except ParseError:
        return False
    return True


def test_whitespace_is_what_java_calls_so() -> None:
    assert {code for code in range(0x3100) if accepts(f"{chr(code)}/a")} == JAVA_SPACE


def test_label_characters_are_exactly_the_raw_ones() -> None:
    assert {chr(code) for code in range(0x3100) if accepts(f"/{chr(code)}/a")} == RAW


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'/' expected but end of input found at '[]'"),
        ("/a/", "label char expected but end of input found at '/a/[]'"),
        ("/a//b", "label char expected but '/' found at '/a/[/]b'"),
        ("//a", "end of input expected but '/' found at '/[/]a'"),
        ("/a^b", "end of input expected but '^' found at '/a[^]b'"),
        (r"/\X41", r"'x' expected but 'X' found at '/\[X]41'"),
        (r"/a\x4g", r"hex char expected but 'g' found at '/a\x4[g]'"),
        ("/a\\", "'x' expected but end of input found at '/a\\[]'"),
        ("/a /b", "end of input expected but '/' found at '/a [/]b'"),
        ("/é", "end of input expected but 'é' found at '/[é]'"),
    ],
)
def test_a_wrong_path_is_told_exactly(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        Path.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/a=>/b /c=>/d", "end of input expected but '/' found at '/a=>/b [/]c=>/d'"),
        ("/a=>/b;;", "'/' expected but ';' found at '/a=>/b;[;]'"),
        ("/a=>/b;#x\n;", "'/' expected but ';' found at '/a=>/b;#x\n[;]'"),
        ("/a/*b=>/c", "'=' expected but 'b' found at '/a/*[b]=>/c'"),
        ("/x*=>/c", "'=' expected but '*' found at '/x[*]=>/c'"),
        ("/a=>/*", "end of input expected but '*' found at '/a=>/[*]'"),
        ("/a->/b", "'=' expected but '>' found at '/a-[>]/b'"),
        ("/a/ =>/b", "label char expected but ' ' found at '/a/[ ]=>/b'"),
    ],
)
def test_a_wrong_table_is_told_exactly(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        Dtab.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/a |", "simple expected but end of input found at '/a |[]'"),
        (". * /a", "weight expected but '.' found at '.[ ]* /a'"),
        (".", "weight expected but '.' found at '.[]'"),
        ("..", "number char expected but '.' found at '.[.]'"),
        ("2*3*/a", "simple expected but '3' found at '2*[3]*/a'"),
        ("1e3*/a", "'*' expected but 'e' found at '1[e]3*/a'"),
        ("+1*/a", "simple expected but '+' found at '[+]1*/a'"),
        ("()", "simple expected but ')' found at '([)]'"),
        ("(/a", "')' expected but end of input found at '(/a[]'"),
    ],
)
def test_a_wrong_tree_is_told_exactly(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_tree(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("007*/a & 3.*/b & .5*/c", "7.00*/a & 3.00*/b & 0.50*/c"),
        ("2*(3*/a) & /b", "2.00*/a & /b"),
        ("0*/a & /b", "0.00*/a & /b"),
        ("2 # two\n * # times\n /a & /b", "2.00*/a & /b"),
        ("/a | (/b | /c)", "/a | (/b | /c)"),
        ("(/a & /b) & /c", "(/a & /b) & /c"),
        ("/a#b | /c #d | /e", "/a#b | /c"),
        ("~#x", "~"),
    ],
)
def test_a_tree_is_read_as_written(text: str, shown: str) -> None:
    assert parse_tree(text).show() == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a=>/b#;/c=>/d", "/a=>/b#;/c=>/d"),
        ("/a=>/b #;/c=>/d", "/a=>/b"),
        ("/a=>~#;/c=>/d", "/a=>~"),
        ("/ => /", "/=>/"),
    ],
)
def test_a_hash_begins_a_comment_only_where_space_may_be(text: str, shown: str) -> None:
    assert Dtab.parse(text).show() == shown


def test_sixty_four_nested_parentheses_are_the_most() -> None:
    assert parse_tree("(" * 64 + "/a" + ")" * 64).show() == "/a"
    assert parse_tree("(/a) | (/b)" + " | (/c)" * 80)
    with pytest.raises(ParseError, match=r"^more than 64 nested parentheses at "):
        parse_tree("(" * 65 + "/a" + ")" * 65)


def test_a_weight_too_large_for_a_number_is_the_largest_one() -> None:
    text = "9" * 400 + "*/a & /b"
    assert parse_tree(parse_tree(text).show()) == parse_tree(text)
