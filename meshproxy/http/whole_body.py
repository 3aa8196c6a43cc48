"""A request body that is whole when it is first looked at."""

from collections.abc import Iterator
from math import inf

from meshproxy.http.body import Interruption, Splice
from meshproxy.http.headers import Headers


class WholeBody:
    """A body that arrived complete with its head (docs/performance.md).

    Plain attributes, since the interpreter calls properties through C.
    """

    __slots__ = ("_is_kept", "data", "has_piece", "is_replayable", "length")

    is_complete = True
    is_bulk = False
    trailers: Headers | None = None

    def __init__(self, data: bytes, keep_bytes: int) -> None:
        self.data = data
        """All of it, read or not."""
        self._is_kept = len(data) <= keep_bytes
        self.length: int | None = len(data)
        self.has_piece = True
        """True until it is read."""
        self.is_replayable = True
        """True if it is short enough to be sent again, or has not been sent yet."""

    def keep_at_most(self, size: int) -> None:
        """Allows sending it again only if it has no more than *size* bytes."""
        if len(self.data) > size:
            self._is_kept = False

    def rewind(self, deadline: float = inf) -> None:
        """Starts over."""
        del deadline
        self.has_piece = True

    def read(self, other: Interruption | None = None) -> bytes:
        """Returns all of it, then nothing."""
        del other
        if not self.has_piece:
            return b""
        self.has_piece = False
        self.is_replayable = self._is_kept
        return self.data

    def whole(self) -> bytes:
        """Starts over and returns all of it."""
        self.has_piece = False
        self.is_replayable = self._is_kept
        return self.data

    def fill(self, pipe: Splice, other: Interruption | None = None) -> int:
        """Returns 0: no byte of it is left in the kernel."""
        del pipe, other
        return 0

    def discard_buffered(self) -> None:
        """Does nothing: all of it has arrived, and what follows it is known."""

    def __iter__(self) -> Iterator[bytes]:
        """Yields the only piece."""
        while piece := self.read():
            yield piece

    def close(self) -> None:
        """Does nothing: there is nothing to end."""
