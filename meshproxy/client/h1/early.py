"""What an endpoint sends before it has received the whole request.

A final response ends the sending; informational ones do not (RFC 9110 section 15.2), since an
unsolicited 100 would cut the body short.
"""

import re
from time import monotonic

from meshproxy.client.failures import refusal
from meshproxy.errors import BadResponse
from meshproxy.http.framing import announces_body
from meshproxy.http.head import HEAD_END, parse_response
from meshproxy.http.message import Request
from meshproxy.net.stream import Stream, StreamTimeout

MAX_INTERIM = 64
"""Most informational responses to one request."""
_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)").match
_START = b"HTTP/1.1 1"
_MAX_HEAD = 65536
"""Bytes of an unfinished head after which the reader of the response decides."""


class EarlyAnswer:
    """Tells the client of *request* of informational responses; `data` is what followed them."""

    __slots__ = ("_request", "count", "data", "is_sound")

    def __init__(self, request: Request) -> None:
        self._request = request
        self.data = b""
        self.count = 0
        """Number of informational responses so far."""
        self.is_sound = True
        """True if none of them has announced a body."""

    def has_begun(self, stream: Stream) -> bool:
        """Returns True if the next thing to read from *stream* is the final response, or the end.

        Raises BadResponse if an informational response is malformed or exceeds their number, and
        TlsFailed for an alert that refuses us.
        """
        try:
            read = stream.receive(monotonic())
        except StreamTimeout:
            return False
        except OSError as error:
            refused = refusal(error)
            if refused is not None:
                raise refused from error
            read = b""  # reading the response raises the error
        self.data += read
        while _INTERIM(self.data):
            head, ended, rest = self.data.partition(HEAD_END)
            if not ended:
                return not read or len(self.data) > _MAX_HEAD
            _, status, _, headers = parse_response(head)
            self.is_sound = self.is_sound and not announces_body(headers)
            self.count += 1
            if self.count > MAX_INTERIM:
                raise BadResponse("too many informational responses")
            self._request.inform(status, headers)
            self.data = rest
        return not read or not _START.startswith(self.data)
