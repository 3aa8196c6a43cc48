"""A connected socket with one read watcher that stays started for the connection's life.

gevent's own sockets start and stop a watcher for every read and ask for SO_SNDBUF on every send,
which costs far more CPU time for a small request. The watcher's callback switches straight to the
greenlet that waits, or stops itself if none does, which also reveals that an idle connection has
been closed.
"""

import math
import os
import socket
from array import array
from collections.abc import Callable
from fcntl import ioctl
from functools import partial
from termios import FIONREAD
from time import monotonic
from typing import Any, cast

import gevent.socket
from gevent import get_hub, getcurrent
from greenlet import greenlet

from meshproxy.http.body import Interruption, Splice
from meshproxy.net.pipe import FLAGS, SIZE, Pipe
from meshproxy.net.traffic import traffic
from meshproxy.net.turn import Unsent, at_end_of_turn, turn
from meshproxy.net.wheel import Alarm, wheel

_READ, _WRITE = 1, 2
RECEIVE = 65536
"""Bytes read at once."""
_MOST_PIECES = 1000
"""Buffers that one call may send; Linux takes 1,024 (IOV_MAX)."""
_buffered = array("i", [0])
"""Where ioctl writes how much there is to read: for an array it need not try two conversions."""
_RESET_ON_CLOSE = b"\x01\x00\x00\x00\x00\x00\x00\x00"


class StreamTimeout(Exception):
    """A wait on a stream passed its deadline."""


class Stream:
    """A plain TCP connection. One greenlet reads and one, usually the same, writes."""

    __slots__ = (
        "_armed",
        "_descriptor",
        "_loop",
        "_reader",
        "_receive",
        "_receive_into",
        "_send",
        "_send_message",
        "_switch",
        "_waiter",
        "_write_waiter",
        "_writer",
        "deadline",
        "filed_until",
        "on_stray",
        "queued",
        "sock",
    )

    is_plain = True
    """True if the bytes in the socket are the bytes sent and received."""

    def __init__(self, sock: gevent.socket.socket) -> None:
        hub = get_hub()
        self._loop = hub.loop
        self.sock = sock
        raw = sock._sock  # noqa: SLF001 - the non-blocking socket below gevent's waiting
        self._receive: Callable[[int], bytes] = raw.recv
        self._receive_into: Callable[..., int] = raw.recv_into
        self._send: Callable[[bytes | memoryview], int] = raw.send
        self._send_message: Callable[[list[bytes | memoryview]], int] = raw.sendmsg
        self._switch = hub.switch
        self.queued = b""
        """Data to be sent at the end of this loop turn."""
        self._waiter: greenlet | None = None
        """The greenlet that waits for something to read."""
        self._write_waiter: greenlet | None = None
        self._writer: Any = None
        self.deadline = math.inf
        self.filed_until = math.inf
        self.on_stray: Callable[[], object] | None = None
        """Called in the hub when something arrives and no greenlet waits for it."""
        self._descriptor = sock.fileno()
        self._reader = hub.loop.io(self._descriptor, _READ)
        self._reader.start(self._on_readable)
        self._armed = True

    @property
    def is_readable(self) -> bool:
        """True if bytes or the end of input arrived while no greenlet was reading."""
        return not self._armed

    def has_stray(self) -> bool:
        """Returns True if anything has arrived; asks the kernel, since the hub may not have run."""
        if self._armed:
            ioctl(self._descriptor, FIONREAD, _buffered)
            if not _buffered[0]:
                return False
            self._disarm()
        return self.is_readable

    def was_reset(self) -> bool:
        """Returns True if the connection is broken, rather than merely readable."""
        return bool(self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def receive(self, deadline: float, most: int = RECEIVE) -> bytes:
        """Returns the next bytes, at most *most*; empty at the end of input.

        Raises StreamTimeout at monotonic second *deadline*, and OSError if the connection breaks.
        """
        switch, receive = self._switch, self._receive
        while True:
            if self._armed:  # `wait_readable` without its frame: a request waits twice
                self.deadline = deadline
                if deadline < self.filed_until:
                    wheel.file(self)
                self._waiter = getcurrent()
                try:
                    switch()
                except BaseException:
                    self._waiter = None
                    raise
            else:
                self._arm()
            try:
                return receive(most)
            except BlockingIOError:
                continue

    def receive_into(self, buffer: memoryview, deadline: float) -> int:
        """Reads into *buffer* like `receive`, but tries first, as bulk data is usually there."""
        while True:
            if not self._armed:
                self._arm()
            try:
                return self._receive_into(buffer)
            except BlockingIOError:
                self.wait_readable(deadline)

    def fill(self, pipe: Splice, most: int) -> int:
        """Reads at most *most* bytes into the empty *pipe*; BlockingIOError if none are there."""
        if not self._armed:
            self._arm()
        pipe.held = read = os.splice(self._descriptor, pipe.write_end, min(most, SIZE), flags=FLAGS)
        return read

    def drain(self, pipe: Pipe) -> bool:
        """Sends what the socket accepts at once from *pipe*. Returns True if that emptied it."""
        try:
            pipe.held -= os.splice(pipe.read_end, self._descriptor, pipe.held, flags=FLAGS)
        except BlockingIOError:
            return False
        return not pipe.held

    def receive_buffered(self, most: int = RECEIVE) -> bytes | None:
        """Returns what has arrived, None if nothing has; never waits and never raises.

        At most *most* bytes; empty at the end of input, however it ended.
        """
        receive = self._receive
        try:
            return receive(most)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def send(self, data: bytes | memoryview, timeout: float) -> None:
        """Sends all of *data*; StreamTimeout if nothing is accepted for *timeout* seconds."""
        if self.queued:
            data = self._take_queued() + data
        sent = self.send_some(data)
        if sent != len(data):
            rest = memoryview(data)[sent:]
            while rest:
                self.wait_writable(monotonic() + timeout)
                rest = rest[self.send_some(rest) :]

    def send_some(self, data: bytes | memoryview) -> int:
        """Sends what the socket accepts at once and returns the number of bytes, which may be 0."""
        send = self._send
        try:
            return send(data)
        except BlockingIOError:
            return 0

    def enqueue(self, data: bytes) -> bool:
        """Queues *data* to be sent at the end of this loop turn.

        Returns False, and queues nothing, if no other event is pending, or if something is queued
        already, so that the queue of a peer that does not read cannot grow.

        The caller's next call must be `receive`, which raises Unsent if the socket does not accept
        all of it; a caller that does not handle that calls `flush` first.
        """
        if self.queued or not (turn or self._loop.pendingcnt):
            return False
        at_end_of_turn(self._loop, self)
        self.queued = data
        return True

    def flush(self, timeout: float) -> None:
        """Sends all that is queued now; for *timeout*, see `Stream.send`."""
        if self.queued:
            self.send(b"", timeout)

    def cancel(self) -> bool:
        """Drops what is queued. Returns True if there was something; none of it was sent."""
        return bool(self._take_queued())

    def send_queued(self) -> None:
        """Sends what is queued; if the socket does not accept all, raises Unsent in the reader.

        Without a reader the rest stays queued and is sent before anything else.
        """
        data = self.queued
        if not data:
            return
        self.queued = b""
        begun = True
        try:
            rest = data[self.send_some(data) :]
        except OSError:
            rest, begun = data, False  # sending it again raises the error where it is handled
        if not rest:
            return
        waiter = self._waiter
        if waiter is None:
            self.queued = rest
        else:
            self._waiter = None
            waiter.throw(Unsent(rest, begun=begun))

    def _take_queued(self) -> bytes:
        data, self.queued = self.queued, b""
        return data

    def send_pieces(self, pieces: list[bytes | memoryview]) -> int:
        """Sends what the socket accepts at once of *pieces*, without joining them.

        Returns the number of bytes, which may be 0.
        """
        if len(pieces) <= _MOST_PIECES:
            try:
                return self._send_message(pieces)
            except BlockingIOError:
                return 0
        sent = 0
        for at in range(0, len(pieces), _MOST_PIECES):
            some = pieces[at : at + _MOST_PIECES]
            try:
                taken = self._send_message(some)
            except BlockingIOError:
                return sent
            sent += taken
            if taken < sum(map(len, some)):
                return sent
        return sent

    def follow(self, on_readable: Callable[[], object]) -> None:
        """Calls *on_readable* in the hub whenever there is something to read, until the end.

        From then on `receive_buffered` reads, and no greenlet may wait here.
        """
        self._reader.stop()
        self._reader.start(on_readable)

    def follow_writable(self, on_writable: Callable[[], object]) -> None:
        """Calls *on_writable* in the hub each turn in which a write is worth trying."""
        if self._writer is None:
            self._writer = self._loop.io(self._descriptor, _WRITE)
        self._writer.start(on_writable)

    def unfollow_writable(self) -> None:
        """Ends what `follow_writable` began."""
        if self._writer is not None:
            self._writer.stop()

    def wait_readable(self, deadline: float) -> None:
        """Waits until a read is worth trying."""
        if not self._armed:
            self._arm()
            return
        self.deadline = deadline
        if deadline < self.filed_until:
            wheel.file(self)
        self._waiter = getcurrent()
        try:
            self._switch()
        except BaseException:
            self._waiter = None
            raise

    def wait_writable(self, deadline: float, *, or_readable: bool = False) -> None:
        """Waits until a write is worth trying or, with *or_readable*, something can be read."""
        if or_readable and self.is_readable:
            return
        if self._writer is None:
            self._writer = self._loop.io(self._descriptor, _WRITE)
        self._write_waiter = getcurrent()
        if or_readable:
            self._waiter = self._write_waiter
            self.deadline = math.inf  # one left over from an earlier read must not end this wait
        time_left = Alarm(deadline, partial(self._write_waiter.throw, StreamTimeout))
        if deadline < math.inf:
            wheel.file(time_left)
        self._writer.start(self._on_writable)
        try:
            self._switch()
            if or_readable and self._waiter is None:
                self._disarm()
        finally:
            wheel.forget(time_left)
            self._writer.stop()
            self._write_waiter = None
            if or_readable:
                self._waiter = None

    def _arm(self) -> None:
        """Watches for something to read, including what has already arrived."""
        self._armed = True
        self._reader.start(self._on_readable)

    def _disarm(self) -> None:
        """Records that there is something to read, and stops watching."""
        self._reader.stop()
        self._armed = False

    def _on_readable(self) -> None:
        waiter = self._waiter
        if waiter is None:
            self._disarm()
            if self.on_stray is not None:
                self.on_stray()
        else:
            self._waiter = None
            waiter.switch()

    def _on_writable(self) -> None:
        self._writer.stop()
        waiter = self._write_waiter
        if waiter is not None:
            self._write_waiter = None
            waiter.switch()

    def expire(self) -> None:
        """Ends a wait for something to read with StreamTimeout; must be called in the hub."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            waiter.throw(StreamTimeout)

    def close_for_writing(self, timeout: float) -> None:
        """Half-closes: the peer sees the end of our data. For *timeout*, see `send`."""
        del timeout
        self.sock.shutdown(socket.SHUT_WR)

    def end_writing(self) -> None:
        """Half-closes like `close_for_writing`, but without waiting. Raises OSError."""
        self.sock.shutdown(socket.SHUT_WR)

    def discard(self) -> int | None:
        """Drops what has arrived, still encrypted; returns its bytes, 0 at the end, None for none.

        To be called after `end_writing`.
        """
        try:
            return len(self._receive(RECEIVE))
        except BlockingIOError:
            return None
        except OSError:
            return 0

    def reset(self) -> None:
        """Resets the connection, so that the peer cannot take what it got for complete."""
        if self.sock is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            Stream.close(self)  # not that of TLS, which sends close_notify

    def close(self) -> None:
        """Releases the socket and its watchers; may be called again."""
        if self.sock is None:
            return
        wheel.forget(self)
        traffic.leave(self)
        self._reader.stop()
        self._reader.close()
        if self._writer is not None:
            self._writer.stop()
            self._writer.close()
        self.sock.close()
        self.sock = None
        self._descriptor = -1
        self.queued = b""
        self.on_stray = None
        self._armed = False


def wait_either(one: Interruption, interruption: Interruption, deadline: float) -> bool:
    """Waits until either has something to read. Returns True if *interruption* has.

    Raises StreamTimeout at *deadline*.
    """
    # the other implementation, net.h2.inbound, has what is used here
    source, other = cast("Stream", one), cast("Stream", interruption)
    while not other.is_readable:
        if source.is_readable:
            return False
        source.deadline = other.deadline = deadline
        if deadline < source.filed_until:
            wheel.file(source)
        source._waiter = other._waiter = getcurrent()  # noqa: SLF001 - one room, one mechanism
        try:
            source._switch()  # noqa: SLF001
            (source if other._waiter else other)._disarm()  # noqa: SLF001
        finally:
            source._waiter = other._waiter = None  # noqa: SLF001
    return True
