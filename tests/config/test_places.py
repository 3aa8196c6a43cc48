"""Places of characters, in every style a YAML value can be written in."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.nodes import Mapping, Scalar
from meshproxy.config.places import Mark, Text

LINES = """\
/svc  => /a ; # one
  /b.b => /c ;

/d => /e"""


def value(text: str) -> Scalar:
    root = parse(text, Findings("f"))
    assert isinstance(root, Mapping)
    found = root.items["x"]
    assert isinstance(found, Scalar)
    return found


def character(text: str, mark: Mark) -> str:
    return text.splitlines()[mark.line - 1][mark.column - 1]


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "x: |\n" + indented(LINES),
        "a: 1\nx: |2- # why; so\n" + indented(LINES) + "b: 1\n",
        "x: &anchor |\n\n\n" + indented(LINES),
        "x: >\n" + indented(LINES),
        "x: >-\n" + indented(LINES).replace("\n\n", "\n    \n"),
        "x: '" + LINES.replace(".", "''").replace("\n", "\n\n ") + "'\n",
        "x: &y '/a => /b'\n",
        'x: "/a\\x2fb\\u0020\\t\\"c\\n\\\n   \\N /d\\\\e"\n',
        "x: /a =>\n  /b ;\n  /c\n",
        json.dumps({"w": "a", "x": LINES + "\t\U0001f600z"}),
        json.dumps({"w": "a", "x": LINES + "\u2028\u00e9"}, ensure_ascii=False),
    ],
)
def test_every_character_is_found_where_it_is_written(text: str) -> None:
    scalar = value(text)
    assert scalar.mark == Text(text).at(text.index("x") + (4 if text[0] == "{" else 3))
    places = []
    for offset, wanted in enumerate(scalar.text):
        if wanted.isspace():
            continue
        place = scalar.at(offset)
        places.append(place)
        assert character(text, place) in (wanted, "\\", "'")
    assert places == sorted(set(places))


def test_white_space_has_the_place_of_what_follows_and_the_end_that_of_the_last() -> None:
    scalar = value("x: |\n  a   b\n\n\n")
    assert [scalar.at(offset).column for offset in (0, 1, 4, 5, 99)] == [3, 7, 7, 7, 7]
    assert value("x: ''\n").at(0) == Mark(1, 4)


def test_lines_end_as_yaml_has_it() -> None:
    text = Text("a\r\nb\rc\nd")
    assert [text.at(index).line for index in (0, 3, 5, 7)] == [1, 2, 3, 4]
    assert text.at(7).column == 1


@given(st.lists(st.text(alphabet=" ab;#'\"\\:|\n", min_size=1, max_size=9), max_size=5))
def test_any_style_that_yaml_writes_keeps_the_order(parts: list[str]) -> None:
    written = "\n".join(parts)
    for style in ("|", ">", "'", '"', ""):
        text = yaml.dump({"x": written}, default_style=style or None, width=20)
        scalar = value(text)
        marks = [scalar.at(n) for n, one in enumerate(scalar.text) if not one.isspace()]
        assert marks == sorted(set(marks))
        for n, one in enumerate(scalar.text):
            if not one.isspace():
                assert character(text, scalar.at(n)) in (one, "\\", "'")
