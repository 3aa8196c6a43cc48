"""JSON of any size, written in slices: requests are served while it is made."""

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from json import JSONEncoder, dumps
from typing import Any, Final

from meshproxy.net.slices import Slices

_MEMBERS: Final = 100
"""Members written at once, unless they have members themselves."""
_AT_ONCE: Final = 20
"""Pieces joined at once."""
_DEPTH: Final = 6
"""Values further down are written at once: they are small."""


def json_text(value: Any, slices: Slices, *, pretty: bool = False) -> str:
    """Returns *value* as JSON, whose keys are texts; sorted and indented if *pretty*."""
    if pretty:
        return joined(JSONEncoder(indent=2, sort_keys=True).iterencode(value), slices)
    return joined(_pieces(value, _DEPTH), slices)


def joined(pieces: Iterator[str], slices: Slices) -> str:
    """Returns *pieces* as one text; others may run after some of them."""
    found = []
    while some := "".join(islice(pieces, _AT_ONCE)):
        found.append(some)
        slices.rest()
    return "".join(found)


def _pieces(value: Any, depth: int) -> Iterator[str]:
    if not depth or not isinstance(value, dict | list):
        yield dumps(value)
    elif isinstance(value, dict):
        yield "{"
        yield from _separated(_members(value.items(), depth))
        yield "}"
    else:
        yield "["
        yield from _separated(_items(value, depth))
        yield "]"


def _members(items: Iterable[tuple[str, Any]], depth: int) -> Iterator[Iterable[str]]:
    for some in _by(_MEMBERS, items):
        if any(isinstance(below, dict | list) for _, below in some):
            for key, below in some:
                yield chain((f"{dumps(key)}: ",), _pieces(below, depth - 1))
        else:
            yield (dumps(dict(some))[1:-1],)


def _items(values: Iterable[Any], depth: int) -> Iterator[Iterable[str]]:
    for some in _by(_MEMBERS, values):
        if any(isinstance(below, dict | list) for below in some):
            yield from (_pieces(below, depth - 1) for below in some)
        else:
            yield (dumps(some)[1:-1],)


def _by(number: int, values: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(values)
    while some := list(islice(rest, number)):
        yield some


def _separated(groups: Iterable[Iterable[str]]) -> Iterator[str]:
    for place, pieces in enumerate(groups):
        if place:
            yield ", "
        yield from pieces
