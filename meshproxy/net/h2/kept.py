"""What was read of a body, held as long as it is short enough to be sent again."""

from meshproxy.net.h2.pieces import hold


class Kept:
    """At most *limit* bytes; beyond that, nothing is held any more."""

    __slots__ = ("_limit", "_pieces", "_position", "is_over", "size")

    def __init__(self, limit: int, announced: int | None) -> None:
        self._limit = limit
        self._pieces: list[bytes] | None = [] if (announced or 0) <= limit else None
        self._position = 0
        self.size = 0
        """Bytes that were read, as long as they are held."""
        self.is_over = False
        """True once something was read that is not held: nothing more need be added."""

    @property
    def is_replayable(self) -> bool:
        """True if all that was read is still held, or nothing was read."""
        return self._pieces is not None or not self.size

    @property
    def has_piece(self) -> bool:
        """True after `rewind`, until all that is held has been taken again."""
        return self._pieces is not None and self._position < len(self._pieces)

    def limit(self, size: int, announced: int | None) -> None:
        """Holds at most *size* bytes, if that is less than before."""
        self._limit = min(self._limit, size)
        if self.size > self._limit or (announced or 0) > self._limit:
            self._pieces = None

    def rewind(self) -> None:
        """Starts over."""
        self._position = 0

    def take(self) -> list[bytes]:
        """Returns what is held after what was taken before."""
        if self._pieces is None:
            return []
        taken = self._pieces[self._position :]
        self._position = len(self._pieces)
        return taken

    def add(self, piece: bytes | memoryview) -> None:
        """Counts a piece that is read for the first time, and holds it if that is allowed."""
        self.size += len(piece)
        if self._pieces is None or self.size > self._limit:
            self._pieces = None
            self.is_over = self.size > 0
        else:
            hold(self._pieces, piece)
            self._position = len(self._pieces)
