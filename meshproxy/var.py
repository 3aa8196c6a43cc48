"""Values that change while the process runs, with observers.

The semantics are those of twitter util's Var and Activity, synchronous and without weak
references: a derived value is computed only while it is observed.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeAlias, TypeVar

from meshproxy.log_once import LogOnce

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)

Close: TypeAlias = Callable[[], None]

log_once = LogOnce(logging.getLogger(__name__))


class Var(Generic[T]):
    """A value that changes and calls its observers when it does."""

    __slots__ = ("_observers", "_value", "_version")

    def __init__(self, value: T) -> None:
        self._value = value
        self._version = 0
        self._observers: dict[object, Callable[[T], None]] = {}

    def sample(self) -> T:
        """Returns the present value."""
        return self._value

    def set(self, value: T) -> None:
        """Replaces the value; does nothing if it is equal.

        If an observer sets the value again, observers not called yet get only the newer one.
        """
        if value == self._value:
            return
        self._value = value
        self._version = version = self._version + 1
        for key, observer in tuple(self._observers.items()):
            if self._version != version:
                return
            if key not in self._observers:
                continue
            try:
                observer(value)
            except Exception:
                log_once.exception("an observer failed")

    def observe(self, observer: Callable[[T], None]) -> Close:
        """Calls *observer* now and on every change; returns the function that stops this.

        The observer must not yield to other greenlets. What it raises is logged, except on this
        first call, where it reaches the caller and nothing is observed.
        """
        key = object()
        self._observers[key] = observer
        try:
            observer(self.sample())
        except BaseException:
            self._forget(key)
            raise
        return lambda: self._forget(key)

    def _forget(self, key: object) -> None:
        self._observers.pop(key, None)

    def map(self, fn: Callable[[T], U]) -> "Var[U]":
        """Returns a Var whose value is always *fn* of this one's."""
        return _Derived(lambda emit: self.observe(lambda value: emit(fn(value))))

    def flat_map(self, fn: "Callable[[T], Var[U]]") -> "Var[U]":
        """Returns a Var that follows the Var *fn* chooses, dropping the one chosen before."""
        return _Derived(lambda emit: _Switch(fn, emit).follow(self))


class Source(Var[T]):
    """A Var whose work starts with the first observer and stops after the last.

    *start* is given a function that publishes a value, and returns one that stops the work; values
    published after that are dropped. Every start begins with *initial* again.
    """

    __slots__ = ("_initial", "_run", "_start", "_stop")

    def __init__(self, start: Callable[[Callable[[T], None]], Close], initial: T) -> None:
        super().__init__(initial)
        self._start = start
        self._initial = initial
        self._run: object | None = None
        self._stop: Close | None = None

    def sample(self) -> T:
        """Returns the present value; an idle source is started for it and stopped again."""
        if self._run is None:
            close = self.observe(_ignore)
            value = self._value
            close()
            return value
        return self._value

    def observe(self, observer: Callable[[T], None]) -> Close:
        """Calls *observer* now and on every change, starting the work if it is the first."""
        if self._run is None:
            self._begin()
        return super().observe(observer)

    def _begin(self) -> None:
        self._run = run = object()
        self._value = self._initial

        def emit(value: T) -> None:
            if self._run is run:
                self.set(value)

        try:
            self._stop = self._start(emit)
        except BaseException:
            self._run = None
            raise

    def _forget(self, key: object) -> None:
        if self._observers.pop(key, None) is None or self._observers or self._stop is None:
            return
        stop, self._stop, self._run = self._stop, None, None
        stop()


class _Derived(Source[T]):
    """A Source over other Vars; its start publishes a value before it returns."""

    __slots__ = ()

    def __init__(self, start: Callable[[Callable[[T], None]], Close]) -> None:
        unset: Any = _UNSET
        super().__init__(start, unset)


class _Switch(Generic[T, U]):
    """Observes one inner Var at a time: the one chosen by the outer's latest value."""

    __slots__ = ("_close_inner", "_emit", "_pick", "_turn")

    def __init__(self, pick: Callable[[T], Var[U]], emit: Callable[[U], None]) -> None:
        self._pick = pick
        self._emit = emit
        self._turn = 0
        self._close_inner: Close = _nothing

    def follow(self, outer: Var[T]) -> Close:
        close_outer = outer.observe(self._turn_to)

        def close() -> None:
            close_outer()
            self._turn += 1
            self._close_inner()

        return close

    def _turn_to(self, value: T) -> None:
        inner = self._pick(value)
        self._turn = turn = self._turn + 1

        def emit(found: U) -> None:
            if self._turn == turn:
                self._emit(found)

        close = inner.observe(emit)
        if self._turn != turn:  # the outer changed again, or all was stopped, while observing
            close()
            return
        close_before, self._close_inner = self._close_inner, close
        close_before()


def collect(members: Sequence[Var[T]]) -> Var[tuple[T, ...]]:
    """Returns a Var of all the members' values, in their order."""

    def start(emit: Callable[[tuple[T, ...]], None]) -> Close:
        values: dict[int, T] = {}

        def observer_of(position: int) -> Callable[[T], None]:
            def take(value: T) -> None:
                values[position] = value
                if len(values) == len(members):
                    emit(tuple(values[at] for at in range(len(members))))

            return take

        if not members:
            emit(())
        closes = [member.observe(observer_of(at)) for at, member in enumerate(members)]

        def close() -> None:
            for close_member in closes:
                close_member()

        return close

    return _Derived(start)


@dataclass(frozen=True, slots=True)
class Pending:
    """Nothing is known yet."""


@dataclass(frozen=True, slots=True)
class Ok(Generic[T_co]):
    """A known value."""

    value: T_co


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """The value cannot be known, and why; equal if the errors have the same text."""

    error: Exception

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Failed):
            return NotImplemented
        mine, theirs = self.error, other.error
        return type(mine) is type(theirs) and mine.args == theirs.args

    def __hash__(self) -> int:
        return hash((type(self.error), str(self.error)))


State: TypeAlias = Pending | Ok[T] | Failed
Activity: TypeAlias = Var[State[T]]

PENDING: Final = Pending()
_UNSET: Final = object()


def wait(activity: Activity[T], timeout_s: float) -> State[T]:
    """Waits until *activity* is not pending. Returns PENDING if that takes *timeout_s* seconds."""
    seen: State[T] = PENDING
    settled = threading.Event()

    def look(state: State[T]) -> None:
        nonlocal seen
        if not isinstance(state, Pending) and not settled.is_set():
            seen = state
            settled.set()

    close = activity.observe(look)
    try:
        settled.wait(timeout_s)
    finally:
        close()
    return seen


def _ignore(_value: object) -> None:
    """Observes only for the side effect."""


def _nothing() -> None:
    """Closes nothing."""
