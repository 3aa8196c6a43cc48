"""Dtabs in a file: where each entry begins, and what is said of the wrong ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.config.dtabs import MAX_FAULTS, BadEntries, parse_entries
from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import read
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.parser import ParseError

TEXTS = st.text(alphabet="/ab=>;|&!~*#() \n\\", max_size=40)
PIECES = st.lists(
    st.sampled_from(["/a", "=>", " => ", ";", "\n", " # ; x\n", "/b", " | ", "(", ")", "!", "x"]),
    max_size=12,
).map("".join)


def faults(text: str) -> list[tuple[int, str]]:
    with pytest.raises(BadEntries) as caught:
        parse_entries(text)
    return [(fault.at, fault.what) for fault in caught.value.faults]


@given(TEXTS | PIECES)
def test_a_text_is_refused_if_and_only_if_it_is_no_dtab(text: str) -> None:
    try:
        expected = Dtab.parse(text)
    except ParseError:
        assert len(faults(text)) <= MAX_FAULTS
    else:
        entries = parse_entries(text)
        assert Dtab(entry.dentry for entry in entries) == expected
        assert all(text[entry.at] == "/" for entry in entries)


def test_each_entry_is_where_it_begins() -> None:
    text = " /a => /b ; # ; /c => /d\n\n /e=>/f;"
    assert [text[entry.at : entry.at + 2] for entry in parse_entries(text)] == ["/a", "/e"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a = /b", [(0, "'>' expected but ' ' found at '/a =[ ]/b'; write an entry such as")]),
        (
            "/a => /b\n/c => /d\n/e => /f",
            [
                (9, "end of input expected but '/' found at '[/]c => /d'; write `;` before it"),
                (18, "end of input expected but '/' found at '[/]e => /f'; write `;` before it"),
            ],
        ),
        (
            "/a => x ;\n/b => /c ;\n  /d => (/e ;",
            [
                (0, "simple expected but 'x' found at '/a => [x] ;'"),
                (23, "')' expected but ';' found at '/d => (/e [;]'"),
            ],
        ),
        (
            "/a => x # one; two\n ; /b/ => /c",
            [(0, "simple expected but 'x'"), (22, "label char expected but ' ' found")],
        ),
        ("/a => /b ;;/c=>d", [(10, "'/' expected but ';'"), (11, "simple expected but 'd'")]),
        ("/a =>\n  /b |\n  ;", [(0, "simple expected but ';' found at '/a => /b | [;]'")]),
    ],
)
def test_every_wrong_entry_is_told_in_one_line(text: str, expected: list[tuple[int, str]]) -> None:
    found = faults(text)
    assert [at for at, _ in found] == [at for at, _ in expected]
    for (_, what), (_, beginning) in zip(found, expected, strict=True):
        assert what.startswith(beginning)
        assert "\n" not in what


def test_a_long_entry_is_cut_and_so_is_a_long_list_of_faults() -> None:
    ((_, what),) = faults(f"/{'a' * 500} => x{'y' * 500}")
    assert len(what) < 200
    assert len(faults("x;" * 1000)) == MAX_FAULTS


CONFIG = "routers:\n- protocol: http\n  servers: [{port: 0}]\n  dtab: "


@pytest.mark.parametrize(
    ("written", "places"),
    [
        ("|\n    # why\n    /a => /b ;\n\n    /c => d ;\n      /e = /f ;\n", ["8:5", "9:7"]),
        (">-\n    /a => /b ;\n    /c => d ;\n\n    /e => f\n", ["6:5", "8:5"]),
        ("/a => b ; /c => d\n", ["4:9", "4:19"]),
        ("'/a => b ;\n\n   /c => d'\n", ["4:10", "6:4"]),
        ('"/a => b ;\\n/c\\x2d => d"\n', ["4:10", "4:21"]),
        ("&x |\n    /a => /b\n    /c => /d\n", ["6:5"]),
    ],
)
def test_places_are_those_of_the_file(written: str, places: list[str]) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(CONFIG + written, "f")
    errors = caught.value.errors
    assert {error.path for error in errors} == {"routers[0].dtab"}
    assert [f"{error.mark.line}:{error.mark.column}" for error in errors] == places
