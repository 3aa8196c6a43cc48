"""The form of docstrings, as docs/style.md has it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCES = Path(__file__).parent.parent / "meshproxy"
THIRD_PERSON = re.compile(r"(?!This\b|Its\b|Is\b)(?:[A-Z][\w-]*s|Called)[,.;:]?(?: |$)").match
VALUES = ("property", "setter")
QUAINT = re.compile(r"; whether\b|\b[Ww]hoever\b|\bpatience\b|(?:^|[.:]\s+)(?:Of what|What is)\b")


def documented(kinds: type[ast.AST] | tuple[type[ast.AST], ...]) -> Iterator[tuple[str, str]]:
    """Yields the place and the docstring of each function, class or module that has one."""
    for path in sorted(SOURCES.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kinds):
                text = ast.get_docstring(node)  # type: ignore[arg-type] # a kind with one
                if text is not None and not is_value(node):
                    yield f"{path.relative_to(SOURCES)}: {getattr(node, 'name', '')}", text


def is_value(node: ast.AST) -> bool:
    """Returns True if *node* is a function that is read like an attribute."""
    marks = map(ast.unparse, getattr(node, "decorator_list", ()))
    return any(mark.endswith(VALUES) for mark in marks)


def test_functions_are_described_in_the_third_person() -> None:
    others = [
        f"{place}: {text.splitlines()[0]}"
        for place, text in documented(ast.FunctionDef)
        if not THIRD_PERSON(text)
    ]

    assert not others, "\n".join(others)


def test_no_docstring_is_a_riddle() -> None:
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Module)
    others = [f"{place}: {text}" for place, text in documented(kinds) if QUAINT.search(text)]

    assert not others, "\n".join(others)
