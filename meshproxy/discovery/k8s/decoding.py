"""JSON of the Kubernetes API in small steps: pages item by item, watch streams line by line."""

import json
from collections.abc import Generator, Iterator
from json import JSONDecodeError
from typing import Any, Final

from meshproxy.discovery.k8s.objects import Malformed

MAX_LINE: Final = 4 * 1024 * 1024
"""Bytes of one line of a watch; one object is at most 1.5 MB in etcd."""

_SPACES: Final = frozenset(" \t\r\n")
_decoder = json.JSONDecoder()


def load(data: bytes) -> Any:
    """Decode one JSON text. Raises `Malformed`."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error


def page_of(data: bytes) -> Iterator[tuple[str, Any]]:
    """Yield `("item", object)` for each item of a list and `(key, value)` for its other keys.

    One item is decoded per step, so that the caller can let others run in between.
    Raises `Malformed`.
    """
    try:
        yield from _members(data.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not a list of objects: {error}") from error


def _members(text: str) -> Iterator[tuple[str, Any]]:
    at = _expect(text, 0, "{")
    if _next_is(text, at, "}"):
        return
    while True:
        key, at = _value(text, at)
        at = _expect(text, at, ":")
        if key == "items" and _next_is(text, at, "["):
            at = yield from _items(text, _expect(text, at, "["))
        else:
            value, at = _value(text, at)
            yield key, value
        if not _next_is(text, at, ","):
            break
        at = _expect(text, at, ",")
    at = _expect(text, at, "}")
    if _skip(text, at) != len(text):
        raise JSONDecodeError("Extra data", text, at)


def _items(text: str, at: int) -> Generator[tuple[str, Any], None, int]:
    if not _next_is(text, at, "]"):
        while True:
            item, at = _value(text, at)
            yield "item", item
            if not _next_is(text, at, ","):
                break
            at = _expect(text, at, ",")
    return _expect(text, at, "]")


def _value(text: str, at: int) -> tuple[Any, int]:
    return _decoder.raw_decode(text, _skip(text, at))


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACES:
        at += 1
    return at


def _next_is(text: str, at: int, mark: str) -> bool:
    return text.startswith(mark, _skip(text, at))


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if not text.startswith(mark, at):
        raise JSONDecodeError(f"Expecting '{mark}'", text, at)
    return at + 1


class Lines:
    """Cuts a stream of bytes into lines of at most `MAX_LINE` bytes."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest: list[bytes] = []
        self._held = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that *data* completes, without their ends. Raises `Malformed`."""
        *complete, rest = data.split(b"\n")
        for line in complete:
            self._hold(line)
            whole = b"".join(self._rest)
            self._rest, self._held = [], 0
            if whole.strip():
                yield whole
        self._hold(rest)

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > self._limit:
            raise Malformed(f"a line of the watch is over {self._limit} bytes")
        self._rest.append(piece)
