from collections.abc import Callable
from typing import Any

import pytest

from meshproxy.config.document import MAX_CHARACTERS, MAX_DEPTH, parse
from meshproxy.config.errors import ConfigErrors, Findings
from meshproxy.config.nodes import Mapping, Node, Scalar, Sequence
from meshproxy.config.places import Mark


def values(node: Node) -> Any:
    match node:
        case Scalar(value=value):
            return value
        case Sequence(items=items):
            return [values(item) for item in items]
        case Mapping(items=items):
            return {name: values(item) for name, item in items.items()}


def read(text: str) -> Any:
    return values(parse(text, Findings("f")))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: [x, yes]", {"a": 1, "b": ["x", "yes"]}),
        ("---\na: '1'\n", {"a": "1"}),
        ("a: |\n  /x => /y ; # why\n", {"a": "/x => /y ; # why\n"}),
        ("a:\nb: ''\nc: ~", {"a": None, "b": "", "c": None}),
        ("apiVersion: v1\n---\n[not: looked at", {"apiVersion": "v1"}),
        ("---\na: 1\n...\n", {"a": 1}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: ${X}\n", {"a": "${X}"}),
        ("x: &x [1]\ny: *x", {"x": [1], "y": [1]}),
        ("a: ! 5", {"a": "5"}),
        ("a: !!str 5", {"a": "5"}),
        ('{"a":\t{"b": [1, true, null, "5", 0.5]}}', {"a": {"b": [1, True, None, "5", 0.5]}}),
        ('\n\t {"a":1}', {"a": 1}),
        ('{"a": "\\ud83d\\ude00\\/"}', {"a": "\U0001f600/"}),
    ],
)
def test_a_text_is_read(text: str, expected: object) -> None:
    assert read(text) == expected


def test_everything_knows_where_it_stands() -> None:
    root = parse("a:\n  - b:  5\n", Findings("f"))
    assert isinstance(root, Mapping)
    items = root.items["a"]
    assert isinstance(items, Sequence)
    (item,) = items.items
    assert isinstance(item, Mapping)
    assert root.marks["a"] == Mark(1, 1)
    assert items.mark == Mark(2, 3)
    assert item.marks["b"] == Mark(2, 5)
    assert item.items["b"].mark == Mark(2, 9)


@pytest.mark.parametrize(
    "text", ["a:\n- b: 1\n  c: 2\n  b: 3\n", '{"a": [{"b": 1,\n"c": 2,\n  "b": 3}]}']
)
def test_a_duplicate_key_is_an_error_in_both_syntaxes(text: str) -> None:
    findings = Findings("f")
    parse(text, findings)
    (error,) = findings.found
    assert error.path == "a[0].b"
    assert error.mark.line in (3, 4)
    assert error.what.startswith("duplicate key, it is also on line")


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a: 1\n---\nb: 2\n---\nc: 3\n", ["2:1"]),
        ("a: 1\n...\n--- {b: 2}\n", ["3:1"]),
        ("a: 1\na: 2\n---\n", ["2:1", "3:1"]),
    ],
)
def test_a_second_document_is_an_error_beside_others(text: str, places: list[str]) -> None:
    findings = Findings("f")
    parse(text, findings)
    assert [f"{error.mark.line}:{error.mark.column}" for error in findings.found] == places
    assert findings.found[-1].what.startswith("a second document begins here")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "1:1: empty"),
        ("# nothing\n", "1:1: empty"),
        ("a: b: c", "1:5: not YAML: mapping values are not allowed here"),
        ("a: [1", "1:6: not YAML: "),
        ("a: \x01", "1:1: not YAML: unacceptable character"),
        ("a: *x", "1:4: the alias *x has no anchor before it"),
        ("a: &a [*a]", "1:8: the alias *a has no anchor before it"),
        ("a: !!int 5", "1:4: the tag tag:yaml.org,2002:int is not supported"),
        ("a: !!python/object:os.system x", "1:4: the tag"),
        ("? [a]\n: b", "1:3: a key has to be a single value"),
        ("{a: 1}", "1:2: not JSON: "),
        ("{'a': 1}", "1:2: not JSON: "),
        ('{"a": 1, b}', "1:10: not JSON: "),
        ('{"a": 1} # x', "1:10: not JSON: "),
        ('{"a": NaN}', "1:1: not JSON: NaN is not a number"),
        ('{"a": "\t"}', "1:8: not JSON: "),
        ('{"a": "\\ud83d"}', "1:7: half of a surrogate pair"),
    ],
)
def test_what_is_no_document_is_refused(text: str, what: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(text)
    assert str(caught.value).startswith(f"f:{what}")


def bomb(_: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(12)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (lambda n: "[" * n, 100_000),
        (lambda n: '{"a":' * n, 100_000),
        (lambda n: "- " * n, MAX_DEPTH + 2),
        (lambda n: "a: " + "x" * n, MAX_CHARACTERS),
        (lambda n: "[" + "x," * n, 200_000),
        (bomb, 0),
    ],
    ids=["flow", "json", "block", "length", "nodes", "aliases"],
)
def test_a_text_that_would_explode_is_refused(make: Callable[[int], str], size: int) -> None:
    with pytest.raises(ConfigErrors, match=r"nested deeper|longer than|more than|not JSON"):
        read(make(size))


def test_the_deepest_allowed_is_read() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH) != []
