"""Pipes that carry bulk from socket to socket inside the kernel (splice(2), Linux only).

1 MiB from an endpoint to a client costs 0.33 CPU seconds a GiB this way, 0.51 through a buffer.
"""

import contextlib
import errno
import fcntl
import os
from types import TracebackType
from typing import Final, Self

from meshproxy.net.descriptors import CLIENTS, is_beyond, spares

WORTH_BYTES: Final = 131_072
"""What is left of a shorter body goes through a buffer."""
SIZE: Final = 1_048_576
"""Bytes a pipe is to hold; the system may give less. Posting 1 MiB takes 0.9 of the CPU time that
it takes with half of it."""
_LEAST: Final = 65_536
"""Bytes that a pipe has to hold to be of use. A user with many pipes gets such of 8 KiB."""
_MAX_PIPES: Final = 32
"""Of this process, in use or spare; whoever comes when all are in use goes through a buffer."""
_MAX_SPARE: Final = 16
FLAGS: Final = getattr(os, "SPLICE_F_NONBLOCK", 0) | getattr(os, "SPLICE_F_MOVE", 0)
"""Of every splice."""
_F_SETPIPE_SZ: Final = 1031
_F_GETPIPE_SZ: Final = 1032


class Pipe:
    """Holds what was taken from one stream until another takes it; used as a context.

    Only plain streams can be spliced: what TLS reads and writes is not what is in the socket.
    """

    __slots__ = ("held", "read_end", "write_end")

    count = 0
    """Pipes that are open."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        """Bytes in it."""
        Pipe.count += 1
        if _enlarge(self.write_end) < _LEAST:
            self.close()
            raise OSError(errno.EPERM, "the system gives no larger pipe")

    @classmethod
    def take(cls) -> "Pipe | None":
        """An empty pipe; None when too many are in use, or the system has none for us."""
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
        """Keep the pipe for the next body, unless something of this one is left in it."""
        if self.held or len(_spare.pipes) >= _MAX_SPARE:
            self.close()
        else:
            _spare.pipes.append(self)

    def close(self) -> None:
        """Close both ends."""
        os.close(self.read_end)
        os.close(self.write_end)
        Pipe.count -= 1


class SparePipes:
    """Empty pipes that wait for the next body."""

    def __init__(self) -> None:
        self.pipes: list[Pipe] = []

    def let_go(self, most: int) -> int:
        """Close pipes of *most* descriptors, or one more; how many that were."""
        number = (most + 1) // 2
        gone = self.pipes[:number]
        del self.pipes[:number]
        for pipe in gone:
            pipe.close()
        return 2 * len(gone)


_spare: Final = SparePipes()
spares.add(_spare)


def _enlarge(descriptor: int) -> int:
    """Ask for SIZE, which a user with many pipes is refused; the size that there is then."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, SIZE)
    return fcntl.fcntl(descriptor, _F_GETPIPE_SZ)
