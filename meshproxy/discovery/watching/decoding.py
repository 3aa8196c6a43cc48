"""JSON from outside in small steps: a list item by item, a stream line by line.

Decoding 4 MB in one go would keep every request waiting for some 50 ms.
"""

import json
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from json import JSONDecodeError
from typing import Any, Final, Generic, TypeVar

import gevent

MAX_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one answer, or of one line of a stream, unless its reader knows better."""
ITEM: Final = "item"

T = TypeVar("T")

_STEP_S: Final = 0.003
"""Work done before other greenlets may run; requests wait this long in each turn."""
_WINDOW: Final = 8
"""Objects compared at most; so many may have come or gone in a row without all being decoded."""
_REST_S: Final = 0.001
"""More than nothing: the hub goes through many sleeps of 0 before it looks at its sockets."""
_SPACES: Final = re.compile(r"[ \t\r\n]*")
_COMMA: Final = re.compile(r"[ \t\r\n]*,[ \t\r\n]*")
_decoder = json.JSONDecoder()


class Malformed(ValueError):
    """The text is not JSON, or not of the expected form."""


def load(data: bytes) -> Any:
    """Returns the value of one JSON text. Raises `Malformed`."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error


def items(data: bytes, *path: str) -> Iterator[tuple[str, Any]]:
    """Yields `(ITEM, value)` for each item of the list that the keys of *path* lead to.

    Without *path* the whole text is that list. The other members of the objects on the way come
    as `(key, value)`, those of inner objects too; the list itself as its key with an empty one,
    so that a missing list can be told from an empty one. One value is decoded per step, so that
    the caller can let others run in between. Raises `Malformed`.
    """
    try:
        text = data.decode()
        at = yield from _descend(text, 0, path)
        if _skip(text, at) != len(text):
            raise JSONDecodeError("Extra data", text, at)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not the expected JSON: {error}") from error


class ObjectReader(Generic[T]):
    """Reads lists of JSON objects with *read*, one list after the other.

    An object whose text is as in the list before is not decoded again. An API keeps the order of
    its lists, so a text is compared with the few that may come next in the list before.
    """

    def __init__(self, read: Callable[[Any], T]) -> None:
        self._read = read
        self._before: _Objects[T] = _Objects()

    def items(self, data: bytes) -> Iterator[T]:
        """Yields what *read* makes of each object, in steps. Raises `Malformed`."""
        now: _Objects[T] = _Objects()
        try:
            yield from in_steps(self._items(data, now))
        except (ValueError, RecursionError) as error:
            raise Malformed(f"not the expected JSON: {error}") from error
        self._before = now

    def _items(self, data: bytes, now: "_Objects[T]") -> Iterator[T]:
        now.text = text = data.decode()
        at = _skip(text, _expect(text, 0, "["))
        is_end = text.startswith("]", at)
        expected = missed = 0
        while not is_end:
            same = self._before.find(text, at, expected)
            if same is None:
                if not text.startswith("{", at):
                    raise JSONDecodeError("Expecting an object", text, at)
                sent, end = _decoder.raw_decode(text, at)
                value = self._read(sent)
                missed += 1
                expected += missed >= _WINDOW
            else:
                end = at + self._before.ends[same] - self._before.starts[same]
                value = self._before.values[same]
                expected, missed = same + 1, 0
            now.add(at, end, value)
            yield value
            comma = _COMMA.match(text, end)
            is_end = comma is None
            at = end if comma is None else comma.end()
        if _skip(text, _expect(text, at, "]")) != len(text):
            raise JSONDecodeError("Extra data", text, at)


class _Objects(Generic[T]):
    """A list of objects as text, with the bounds of each and what was read there.

    In separate lists, since the garbage collector has to look at every tuple again and again.
    """

    def __init__(self) -> None:
        self.text = ""
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.values: list[T] = []

    def add(self, start: int, end: int, value: T) -> None:
        """Adds the next object."""
        self.starts.append(start)
        self.ends.append(end)
        self.values.append(value)

    def find(self, text: str, at: int, start: int) -> int | None:
        """Returns the index, from *start* on, of the object that *text* has at *at*, if any."""
        for index in range(start, min(start + _WINDOW, len(self.starts))):
            if text.startswith(self.text[self.starts[index] : self.ends[index]], at):
                return index
        return None


def read_list(
    data: bytes, read: Callable[[Any], T | None], *path: str
) -> tuple[list[T], dict[str, Any]]:
    """Returns what *read* makes of each item, None left out, and the other members.

    As `items`, in steps. Raises `Malformed` if there is no list, too.
    """
    found: list[T] = []
    others: dict[str, Any] = {}
    for key, value in in_steps(items(data, *path)):
        if key != ITEM:
            others[key] = value
        elif (item := read(value)) is not None:
            found.append(item)
    if path and others.get(path[-1]) != []:
        raise Malformed(f"there is no list at {'.'.join(path)}")
    return found, others


def member(value: Any, *names: str) -> Any:
    """Returns what the keys of *names* lead to within *value*; None where there is nothing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def shown(value: Any) -> str:
    """Returns the text of a JSON value, cut to 60 characters."""
    return json.dumps(value)[:60]


def in_steps(
    values: Iterable[T], sleep: Callable[[float], None] = gevent.sleep
) -> Generator[T, None, None]:
    """Yields *values*, and lets other greenlets run after each 3 ms of work."""
    begun = time.monotonic()
    for value in values:
        yield value
        if time.monotonic() - begun > _STEP_S:
            sleep(_REST_S)
            begun = time.monotonic()


def _descend(text: str, at: int, path: tuple[str, ...]) -> Generator[tuple[str, Any], None, int]:
    return (yield from _members(text, at, path) if path else _items(text, at))


def _members(text: str, at: int, path: tuple[str, ...]) -> Generator[tuple[str, Any], None, int]:
    wanted, *rest = path
    opening = "{" if rest else "["
    at = _expect(text, at, "{")
    if _next_is(text, at, "}"):
        return _expect(text, at, "}")
    while True:
        key, at = _value(text, at)
        at = _expect(text, at, ":")
        if key == wanted and _next_is(text, at, opening):
            if not rest:
                yield key, []
            at = yield from _descend(text, at, tuple(rest))
        else:
            value, at = _value(text, at)
            yield key, value
        if not _next_is(text, at, ","):
            return _expect(text, at, "}")
        at = _expect(text, at, ",")


def _items(text: str, at: int) -> Generator[tuple[str, Any], None, int]:
    at = _skip(text, _expect(text, at, "["))
    if not text.startswith("]", at):
        while True:
            item, at = _decoder.raw_decode(text, at)
            yield ITEM, item
            comma = _COMMA.match(text, at)
            if comma is None:
                break
            at = comma.end()
    return _expect(text, at, "]")


def _value(text: str, at: int) -> tuple[Any, int]:
    return _decoder.raw_decode(text, _skip(text, at))


def _skip(text: str, at: int) -> int:
    match = _SPACES.match(text, at)
    return match.end() if match else at


def _next_is(text: str, at: int, mark: str) -> bool:
    return text.startswith(mark, _skip(text, at))


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if not text.startswith(mark, at):
        raise JSONDecodeError(f"Expecting '{mark}'", text, at)
    return at + 1


class Lines:
    """Cuts a stream of bytes into lines of at most *limit* bytes."""

    def __init__(self, limit: int = MAX_BYTES) -> None:
        self._limit = limit
        self._rest: list[bytes] = []
        self._held = 0

    @property
    def is_between(self) -> bool:
        """True if no line is incomplete."""
        return not self._held

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields the non-empty lines that *data* completes, without their ends.

        Raises `Malformed` for one that is too long.
        """
        *complete, rest = data.split(b"\n")
        for line in complete:
            self._hold(line)
            if whole := self.take_rest():
                yield whole
        self._hold(rest)

    def take_rest(self) -> bytes:
        """Returns the incomplete line, and forgets it."""
        whole = b"".join(self._rest).strip()
        self._rest, self._held = [], 0
        return whole

    def _hold(self, piece: bytes) -> None:
        self._held += len(piece)
        if self._held > self._limit:
            raise Malformed(f"a line is over {self._limit} bytes")
        self._rest.append(piece)
