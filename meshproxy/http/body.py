"""The interface of a message body to those who forward it, and of what it works with."""

import math
from collections.abc import Iterator
from typing import Protocol

from meshproxy.http.headers import Headers


class Interruption(Protocol):
    """The other side of an exchange: a wait for the next piece of a body ends when it has data."""

    @property
    def is_readable(self) -> bool:
        """True if bytes or the end of input have arrived."""
        ...


class Splice(Protocol):
    """A kernel pipe, through which pieces pass without being copied."""

    held: int
    """Number of bytes in it."""

    @property
    def write_end(self) -> int:
        """The descriptor to write to."""
        ...


class Body(Protocol):
    """A message body that arrives in pieces and can be read once."""

    @property
    def length(self) -> int | None:
        """Length in bytes; None if it is known only at the end (chunked, until close)."""
        ...

    @property
    def trailers(self) -> Headers | None:
        """The trailer fields, once the body has been read to its end."""
        ...

    @property
    def has_piece(self) -> bool:
        """True if the next `read` will not wait."""
        ...

    def read(self) -> bytes | memoryview | None:
        """Returns the next piece, valid until the next call; an empty one at the end."""
        ...

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """Yields the same pieces, as PEP 3333 requires."""
        ...

    def close(self) -> None:
        """Ends the exchange, now or after the last piece; may be called again."""
        ...


class AwaitedBody(Body, Protocol):
    """A response body that goes on arriving while nobody reads it, within its stream's window."""

    @property
    def held(self) -> int:
        """Bytes that have arrived and have not been read."""
        ...

    @property
    def received(self) -> int:
        """Bytes that have arrived so far, read or not."""
        ...

    @property
    def is_complete(self) -> bool:
        """True once all of it has arrived."""
        ...

    def await_end(self, most: int, seconds: float) -> bool:
        """Waits until the end has arrived, without reading; returns False if it will not wait on.

        It returns False once more than *most* bytes are held, or after *seconds*. The response's
        `ending` has come when it returns True, also if the body was cut short.
        """
        ...


class RequestBody(Body, Protocol):
    """A request body, which can be read again as long as all of it is still held."""

    @property
    def is_complete(self) -> bool:
        """True once the last byte has arrived."""
        ...

    @property
    def is_replayable(self) -> bool:
        """True while everything read so far is still held, so that `rewind` can start over."""
        ...

    def keep_at_most(self, size: int) -> None:
        """Limits what is held for a retry to *size* bytes."""
        ...

    def rewind(self, deadline: float = math.inf) -> None:
        """Starts over with the first piece; the rest must arrive by monotonic second *deadline*."""
        ...

    @property
    def is_bulk(self) -> bool:
        """True if nothing of it is held and the rest is long enough to be spliced."""
        ...

    def fill(self, pipe: Splice, other: Interruption | None = None) -> int | None:
        """Moves a piece of a bulk body into *pipe* and returns its length, 0 at the end.

        Returns None when *other* has something to read first.
        """
        ...

    def read(self, other: Interruption | None = None) -> bytes | memoryview | None:
        """Returns the next piece; None when *other* has something to read first."""
        ...
