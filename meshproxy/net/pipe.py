"""Pipes that carry bulk from socket to socket inside the kernel (splice(2), Linux only).

For large bodies this costs much less CPU time than a buffer (docs/performance.md).
"""

import contextlib
import errno
import fcntl
import os
from types import TracebackType
from typing import Final, Self

from meshproxy.net.descriptors import CLIENTS, is_beyond, spares

WORTH_BYTES: Final = 131_072
"""Bytes; a body with less than this left goes through a buffer."""
SIZE: Final = 1_048_576
"""Bytes a pipe should hold; the system may give less. Larger pipes need fewer calls (bench row
`post1m`)."""
_LEAST: Final = 65_536
"""Fewest bytes a useful pipe holds. Linux gives a user with many pipes only 8 KiB each."""
_MAX_PIPES: Final = 32
"""Pipes of this process, in use or spare; beyond that, bodies go through a buffer."""
_MAX_SPARE: Final = 16
FLAGS: Final = getattr(os, "SPLICE_F_NONBLOCK", 0) | getattr(os, "SPLICE_F_MOVE", 0)
"""Flags of every splice."""
_F_SETPIPE_SZ: Final = 1031
_F_GETPIPE_SZ: Final = 1032


class Pipe:
    """Holds what was taken from one stream until another accepts it; used as a context manager.

    Only plain streams can be spliced, since what TLS reads and writes is not what is in the socket.
    """

    __slots__ = ("held", "read_end", "write_end")

    count = 0
    """Number of open pipes."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        """Number of bytes in it."""
        Pipe.count += 1
        if _enlarge(self.write_end) < _LEAST:
            self.close()
            raise OSError(errno.EPERM, "the system gives no larger pipe")

    @classmethod
    def take(cls) -> "Pipe | None":
        """Returns an empty pipe; None if too many are in use or the system provides none."""
        if _spare.pipes:
            return _spare.pipes.pop()
        if cls.count >= _MAX_PIPES or not hasattr(os, "splice"):
            return None
        try:
            pipe = cls()
        except OSError:
            return None
        if is_beyond(CLIENTS, pipe.write_end):
            pipe.close()
            return None
        return pipe

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keeps the pipe for the next body, unless bytes of this one are left in it."""
        if self.held or len(_spare.pipes) >= _MAX_SPARE:
            self.close()
        else:
            _spare.pipes.append(self)

    def close(self) -> None:
        """Closes both ends."""
        os.close(self.read_end)
        os.close(self.write_end)
        Pipe.count -= 1


class SparePipes:
    """Empty pipes kept for the next body."""

    def __init__(self) -> None:
        self.pipes: list[Pipe] = []

    def let_go(self, most: int) -> int:
        """Closes the pipes of *most* descriptors, rounded up, and returns how many it closed."""
        number = (most + 1) // 2
        gone = self.pipes[:number]
        del self.pipes[:number]
        for pipe in gone:
            pipe.close()
        return 2 * len(gone)


_spare: Final = SparePipes()
spares.add(_spare)


def _enlarge(descriptor: int) -> int:
    """Asks for SIZE, which Linux may refuse a user with many pipes; returns the size obtained."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, SIZE)
    return fcntl.fcntl(descriptor, _F_GETPIPE_SZ)
