"""The watched files of a namer or an interpreter, and what operators are told about them."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from meshproxy.discovery.files import contents
from meshproxy.naming.followed import Followed, brief
from meshproxy.var import PENDING, Activity, Close, Failed, Ok, Source, State
from meshproxy.wording import in_words, moment

T = TypeVar("T")


class ParsedFiles(Generic[T]):
    """What *parse* makes of files, each while it is observed; *show* converts that to JSON.

    *parse* gets None if there is no such file. One for which it raises ValueError is failed, and so
    is one that cannot be read.
    """

    def __init__(self, parse: Callable[[bytes | None], T], show: Callable[[T], Any]) -> None:
        self._parse = parse
        self._show = show
        self._known: dict[str, _Known[T]] = {}

    def follow(self, path: str) -> Activity[T]:
        """Returns what the file *path* has."""
        text = contents(path)

        def start(emit: Callable[[State[T]], None]) -> Close:
            known = self._known.setdefault(path, _Known())
            known.observers += 1

            def take(state: State[bytes | None]) -> None:
                parsed = self._parsed(state)
                known.note(parsed)
                emit(parsed)

            close = text.observe(take)

            def stop() -> None:
                close()
                known.observers -= 1
                if not known.observers:
                    del self._known[path]

            return stop

        return Source(start, PENDING)

    def describe(self) -> dict[str, Any]:
        """Returns the state of each file in use for human readers, by its name."""
        return {path: known.describe(self._show) for path, known in sorted(self._known.items())}

    def followed(self) -> Iterator[Followed]:
        """Yields the same in brief."""
        for path, known in list(self._known.items()):
            yield known.followed(path, self._show)

    def _parsed(self, state: State[bytes | None]) -> State[T]:
        if not isinstance(state, Ok):
            return state
        try:
            return Ok(self._parse(state.value))
        except ValueError as error:
            return Failed(error)


class _Known(Generic[T]):
    """The state of one file: when it was last read, what it had, and the present failure."""

    def __init__(self) -> None:
        self.observers = 0
        self._state: State[T] = PENDING
        self._good: Ok[T] | None = None
        self._started_at = time.time()
        self._read_at = 0.0
        self._failure = ""
        self._failing_since = 0.0

    def note(self, state: State[T]) -> None:
        """Takes what the file has now."""
        if state == self._state:
            return
        self._state = state
        if isinstance(state, Ok):
            self._good, self._read_at, self._failure = state, time.time(), ""
        elif isinstance(state, Failed):
            if not self._failure:
                self._failing_since = time.time()
            self._failure = in_words(state.error)

    def describe(self, show: Callable[[T], Any]) -> dict[str, Any]:
        return {
            "state": {
                "running": True,
                "lastStartedAt": moment(self._started_at),
                "lastUpdatedAt": moment(self._read_at),
                "value": show(self._good.value) if self._good is not None else None,
            },
            "poll": {"error": self._failure or None},
        }

    def followed(self, path: str, show: Callable[[T], Any]) -> Followed:
        failing_since = self._failing_since if self._failure else 0.0
        answer = brief(show(self._good.value)) if self._good is not None else ""
        return Followed(path, answer, self._read_at, self._failure, failing_since)
