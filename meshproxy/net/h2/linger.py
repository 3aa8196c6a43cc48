"""Reads on after the last bytes to a peer, so that no RST from the kernel overtakes them."""

from collections.abc import Callable
from time import monotonic

from meshproxy.net.stream import Stream
from meshproxy.net.wheel import Alarm, wheel

_SECONDS = 2.0
_BYTES = 262144


class Linger:
    """Half-closes *stream*, drops what comes, and calls *close* at the peer's end.

    Or after 2 s, or after 256 KiB.
    """

    __slots__ = ("_alarm", "_close", "_left", "_stream")

    def __init__(self, stream: Stream, close: Callable[[], object]) -> None:
        self._stream = stream
        self._close = close
        self._left = _BYTES
        self._alarm = Alarm(monotonic() + _SECONDS, self._end)
        try:
            stream.end_writing()
        except OSError:
            self._close()
        else:
            stream.follow(self._drop)
            wheel.file(self._alarm)

    def _drop(self) -> None:
        read = self._stream.discard()
        self._left -= read or 0
        if read == 0 or self._left <= 0:
            self._end()

    def _end(self) -> None:
        wheel.forget(self._alarm)
        self._close()
