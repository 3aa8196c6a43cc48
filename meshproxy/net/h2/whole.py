"""A body that arrived completely before it was first read, as most small ones do."""

from meshproxy.http.headers import Headers
from meshproxy.http.whole_body import WholeBody
from meshproxy.net.h2.memory import SMALL

MOST_BYTES = SMALL
"""Of more, an `Inbound` counts what waits, and grants the peer as much again."""


class Whole(WholeBody):
    """A request's or a response's body that needs nothing of its stream any more."""

    __slots__ = ("received", "trailers")

    def __init__(
        self,
        data: bytes,
        length: int | None,
        keep_bytes: int = MOST_BYTES,
        trailers: Headers | None = None,
    ) -> None:
        """Takes the length that the peer has announced, if it has; *trailers* stay as they are."""
        self.data = data
        self.received = size = len(data)
        """How many bytes it has."""
        self._is_kept = size <= keep_bytes
        self.length = length
        self.trailers = trailers
        self.has_piece = self.is_replayable = True
