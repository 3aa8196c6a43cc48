"""A message body as it arrives on a stream, whatever ends it (RFC 9112 section 6).

`net.framings` has a reader for each kind of framing.
"""

from collections.abc import Callable, Iterator
from math import inf
from time import monotonic
from typing import NamedTuple

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.http.body import Interruption
from meshproxy.http.headers import Headers
from meshproxy.net.stream import Stream, StreamTimeout, wait_either
from meshproxy.net.turn import next_turn
from meshproxy.wording import in_words

_TURN = 4 * 1048576
"""Bytes after which other connections get their turn, even if no read has to wait."""

Finish = Callable[[bool, bytes], None]
"""Called once when a body ends: True if it was complete, and what followed it."""


class Faults(NamedTuple):
    """The errors that a broken body raises; each side of the proxy has its own set."""

    malformed: type[ProxyError]
    closed: type[ProxyError]
    timed_out: type[ProxyError]


class StreamBody:
    """Reads one body, beginning with *buffered*; a subclass knows where it ends.

    A wait for the next piece ends after *idle_timeout* seconds, or at `deadline`. Errors come from
    *faults*; after any error, or `close` before the end, the body counts as incomplete, and every
    later `read` raises, so that a truncated body cannot be taken for a complete one.
    """

    __slots__ = (
        "_buffered",
        "_failure",
        "_faults",
        "_finish",
        "_idle_timeout",
        "_stream",
        "_turn",
        "deadline",
        "is_broken",
        "trailers",
    )

    length: int | None = None
    """Length in bytes; None if it is known only at the end."""

    def __init__(
        self, stream: Stream, buffered: bytes, idle_timeout: float, faults: Faults, finish: Finish
    ) -> None:
        self._stream = stream
        self.is_broken = False
        """True if the peer that sends it cut it short, stalled, or violated the protocol."""
        self.trailers: Headers | None = None
        self._turn = _TURN
        self._buffered = buffered
        self._idle_timeout = idle_timeout
        self.deadline = inf
        """Monotonic second at which every wait ends, whatever the idle timeout."""
        self._faults = faults
        self._finish: Finish | None = finish
        self._failure: ProxyError | None = None

    def _read(self, other: Interruption | None) -> bytes | memoryview | None:
        """Returns the next piece of a body that has not ended; see `read`."""
        raise NotImplementedError

    def _skip(self, buffered: bytes) -> None:
        """Skips *buffered*, which may include the end of the body."""
        raise NotImplementedError

    @property
    def has_piece(self) -> bool:
        """True if the next `read` will not wait."""
        return bool(self._buffered)

    @property
    def is_complete(self) -> bool:
        """True once all of it has been read or skipped."""
        return self._finish is None and self._failure is None

    @property
    def is_bulk(self) -> bool:
        """True if the rest is long enough to be spliced, and the stream is not encrypted."""
        return False

    def read(self, other: Interruption | None = None) -> bytes | memoryview | None:
        """Returns the next piece, empty at the end; None if *other* has something to read first."""
        if self._finish is None:
            self._check_failure()
            return b""
        try:
            return self._read(other)
        except (OSError, StreamTimeout) as error:
            raise self._lost(error) from error
        except BaseException as error:
            self._give_up(error)
            raise

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Yields the pieces, as a WSGI server would read them."""
        while piece := self.read():
            yield piece

    def skip_buffered(self) -> None:
        """Skips what has already arrived, without waiting; that may reach the end of the body."""
        if self._finish is not None:
            buffered, self._buffered = self._buffered, b""
            self._skip(buffered)

    def close(self) -> None:
        """Abandons what has not been read."""
        if self._finish is not None:
            self._failure = self._faults.closed("the body was abandoned before its end")
            self._end(False, b"")

    @property
    def _due(self) -> float:
        """Monotonic second by which the next piece must arrive."""
        return min(monotonic() + self._idle_timeout, self.deadline)

    def _check_failure(self) -> None:
        """Raises the error that ended the body, if one did."""
        if self._failure is not None:
            raise self._failure

    def _lost(self, error: OSError | StreamTimeout) -> ProxyError:
        """Ends the body because of *error*, and returns the error to raise."""
        if isinstance(error, StreamTimeout):
            failure = self._faults.timed_out("the next piece of a body did not arrive in time")
        else:
            failure = self._faults.closed(f"connection lost within a body: {in_words(error)}")
        self._fail(failure)
        return failure

    def _give_up(self, error: BaseException) -> None:
        """Ends the body because reading it raised *error*."""
        if isinstance(error, ProxyError):
            self._fail(error)
        else:
            self.close()

    def _fail(self, failure: ProxyError) -> None:
        self._failure = failure
        self.is_broken = not isinstance(failure, ClientGone)
        self._end(False, b"")

    def _end(self, complete: bool, rest: bytes) -> None:
        finish, self._finish = self._finish, None
        if finish is not None:
            finish(complete, rest)

    def _receive(self, other: Interruption | None) -> bytes | None:
        if other is not None and wait_either(self._stream, other, self._due):
            return None
        data = self._stream.receive(self._due)
        self._take_turns(len(data))
        return data

    def _take_turns(self, read: int) -> None:
        self._turn -= read
        if self._turn < 0:
            self._turn = _TURN
            next_turn()
