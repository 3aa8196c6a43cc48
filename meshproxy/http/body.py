"""What a message body is to those who pass it on, and what it may meet on its way."""

import math
from collections.abc import Iterator
from typing import Protocol

from meshproxy.http.headers import Headers


class Interruption(Protocol):
    """The other side of an exchange, whose data ends a wait for the next piece of a body."""

    @property
    def is_readable(self) -> bool:
        """Something, or the end of input, has come."""
        ...


class Splice(Protocol):
    """A pipe of the kernel, through which pieces pass without being copied."""

    held: int
    """Bytes in it."""

    @property
    def write_end(self) -> int:
        """The descriptor to write to."""
        ...


class Body(Protocol):
    """A message body that arrives in pieces and is read once."""

    @property
    def length(self) -> int | None:
        """Bytes in all, None when only the end will tell (chunked, until close)."""
        ...

    @property
    def trailers(self) -> Headers | None:
        """Fields after the last chunk, known once the body was read to its end."""
        ...

    @property
    def has_piece(self) -> bool:
        """The next `read` will not wait."""
        ...

    def read(self) -> bytes | memoryview | None:
        """The next piece, valid until the one after it is asked for; empty at the end."""
        ...

    def __iter__(self) -> Iterator[bytes | memoryview]:
        """The same pieces, as PEP 3333 has it."""
        ...

    def close(self) -> None:
        """End the exchange, now or after the last piece; harmless when repeated."""
        ...


class RequestBody(Body, Protocol):
    """A request body, which may be asked for again while all of it is still held."""

    @property
    def is_complete(self) -> bool:
        """The last byte has come."""
        ...

    @property
    def is_replayable(self) -> bool:
        """Everything read so far is still held, so `rewind` gives the whole body again."""
        ...

    def keep_at_most(self, size: int) -> None:
        """Hold no more than *size* bytes for a retry."""
        ...

    def rewind(self, deadline: float = math.inf) -> None:
        """Begin again with the first piece; the last has to come by monotonic second *deadline*."""
        ...

    @property
    def is_bulk(self) -> bool:
        """Nothing of it is kept, and the rest is worth a pipe."""
        ...

    def fill(self, pipe: Splice, other: Interruption | None = None) -> int | None:
        """Moves a piece of a bulk body into *pipe*, and returns its length, 0 at the end.

        Returns None when *other* has something to read first.
        """
        ...

    def read(self, other: Interruption | None = None) -> bytes | memoryview | None:
        """Returns the next piece; None when *other* has something to read first."""
        ...
