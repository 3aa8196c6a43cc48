"""The receiving half of flow control (RFC 9113 sections 5.2 and 6.9)."""


class ReceiveWindow:
    """What a peer may still send, and what of it has been consumed and not been granted again.

    Windows of *size* bytes are topped up once they have fallen below *ratio* of it by what was
    consumed; bytes that nobody has consumed are not granted again, which holds the peer back.
    """

    __slots__ = ("_consumed", "_threshold", "left")

    def __init__(self, size: int, ratio: float, left: int) -> None:
        self.left = left
        """Bytes that the peer may still send; below 0 after a setting that made windows smaller."""
        self._consumed = 0
        self._threshold = max(1, int(size * (1 - ratio)))

    def take(self, count: int) -> bool:
        """Counts received bytes; returns False if the peer had no leave to send them."""
        self.left -= count
        return self.left >= 0 or not count

    def consume(self, count: int) -> int:
        """Returns the increment to announce to the peer now, mostly 0."""
        self._consumed += count
        if self._consumed < self._threshold:
            return 0
        increment, self._consumed = self._consumed, 0
        self.left += increment
        return increment
