"""Reads request heads from a client's connection (RFC 9112 sections 2, 3 and 5)."""

import re
from dataclasses import replace
from time import monotonic

from meshproxy.errors import BadRequest, HeadersTooLarge, RequestTimedOut
from meshproxy.http.head import (
    CRLF,
    FIRST_READ,
    HEAD_END,
    check_request_size,
    is_hopeless,
    parse_request_line,
)
from meshproxy.http.limits import Limits
from meshproxy.net.stream import Stream, StreamTimeout
from meshproxy.net.turn import Unsent

_EMPTY_LINES = re.compile(rb"(?:\r\n)+").match
_LAST_CALL_SECONDS = 1.0
"""Wait for the first request on a connection that was accepted as a drain began."""


class RequestHeads:
    """The heads of the requests on *stream*; bytes read beyond a head are kept in `buffer`."""

    __slots__ = ("_limits", "_short", "_stream", "buffer", "has_begun", "timed_out")

    def __init__(self, stream: Stream, limits: Limits) -> None:
        self._stream = stream
        self.adopt(limits)
        self.buffer = b""
        """Bytes that followed the last head or its body."""
        self.has_begun = False
        """True if part of a head was read; the caller resets it."""
        self.timed_out = False
        """True if no further request began in time."""

    def adopt(self, limits: Limits) -> None:
        """Reads the next head, or one that is arriving, within *limits*."""
        self._limits = limits
        self._short = min(limits.first_line, limits.header_bytes)

    def hurry(self) -> None:
        """Waits only briefly for the next request, since the listener is draining."""
        self._limits = replace(self._limits, idle_seconds=_LAST_CALL_SECONDS)

    def next(self, dies_at: float) -> bytes | None:
        """Returns the next head without its final empty line; None if there is none.

        There is none at the end of input, or if none begins before monotonic second *dies_at* or
        within the idle timeout. Raises ProxyError if a head is too large, too slow or malformed.
        """
        buffer = self.buffer
        if not buffer:
            deadline = monotonic() + self._limits.idle_seconds
            if deadline > dies_at:  # noqa: PLR1730 - cheaper than a call of min, on every request
                deadline = dies_at
            try:
                buffer = self._stream.receive(deadline, FIRST_READ)
            except Unsent as unsent:
                self.has_begun = True
                self._stream.send(unsent.rest, self._limits.write_timeout)
                self.has_begun = False
                return self.next(dies_at)
            except StreamTimeout:
                buffer = self._stream.receive_buffered() or b""
                self.timed_out = not buffer
            if not buffer:
                return None
        self.has_begun = True
        end = buffer.find(HEAD_END)
        if end <= 0 or buffer[0] == 13:
            whole = self._rest_of_head(buffer)
            if whole is None:
                return None
            buffer = whole
            end = buffer.find(HEAD_END)
        if end > self._short:
            check_request_size(buffer[:end], self._limits)
        self.buffer = buffer[end + 4 :]
        return buffer[:end]

    def _rest_of_head(self, buffer: bytes) -> bytes | None:
        """Reads until *buffer*, which begins with a head, holds all of it."""
        limits = self._limits
        self._stream.flush(limits.write_timeout)
        deadline = monotonic() + limits.head_seconds
        skipped = 0
        while True:
            if empty := _EMPTY_LINES(buffer):
                buffer = buffer[empty.end() :]
                skipped += empty.end()
            self.buffer = buffer
            self.has_begun = bool(buffer)
            if skipped > limits.header_bytes:
                raise HeadersTooLarge("too many empty lines before the request")
            if HEAD_END in buffer:
                return buffer
            check_request_size(buffer.rstrip(CRLF), limits)
            if is_hopeless(buffer):
                raise BadRequest("control character in the request head")
            line, ended, _ = buffer.partition(CRLF)
            if ended:
                parse_request_line(line)  # otherwise HTTP/0.9 would wait for the rest of its head
            try:
                data = self._stream.receive(deadline)
            except StreamTimeout:
                if not buffer:
                    return None
                raise RequestTimedOut("the request head did not arrive in time") from None
            if not data:
                return None
            buffer += data
