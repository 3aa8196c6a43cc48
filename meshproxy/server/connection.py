"""One client connection: read a request, serve it, write the response, go on or close.

RFC 9112 sections 2, 3, 6, 7 and 9. Requests are handled one at a time and in order; bytes of the
next one wait in the buffer.
"""

from collections.abc import Callable
from email.utils import formatdate
from time import monotonic, time

from meshproxy.errors import (
    BadRequest,
    BodyTooLarge,
    ClientGone,
    ExpectationFailed,
    HeadersTooLarge,
    ProxyError,
    RequestTimedOut,
    TargetTooLong,
)
from meshproxy.http.chunked import encode, last_chunk
from meshproxy.http.framing import request_length
from meshproxy.http.head import CRLF, HEAD_END, is_hopeless, parse_request
from meshproxy.http.hop import connection_options
from meshproxy.http.limits import Limits
from meshproxy.http.message import Body, Request, Response
from meshproxy.http.target import origin_form
from meshproxy.net.stream import Stream, StreamTimeout
from meshproxy.server.request_body import ClientBody
from meshproxy.service import Service

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 262144
_BODILESS = frozenset({204, 304})


class Connection:
    """Serves one accepted connection until either side ends it."""

    __slots__ = (
        "_answer",
        "_buffer",
        "_limits",
        "_service",
        "_stream",
        "is_busy",
        "is_draining",
        "local",
        "remote",
    )

    def __init__(
        self,
        stream: Stream,
        service: Service[Request, Response],
        limits: Limits,
        remote: str,
        local: str,
        answer: Callable[[ProxyError], Response],
    ) -> None:
        self._stream = stream
        self._service = service
        self._limits = limits
        self._answer = answer
        self._buffer = b""
        self.remote = remote
        self.local = local
        self.is_busy = False
        self.is_draining = False
        """Close after the present response."""

    def run(self) -> None:
        """Serve until the end, then close the socket, whatever happens."""
        try:
            while self._serve_one():
                pass
        except (OSError, StreamTimeout, ClientGone):
            pass
        finally:
            self._stream.close()

    def end_idle(self) -> None:
        """Close now if no request is being served; call in the hub only."""
        if not self.is_busy:
            self._stream.expire()

    def _serve_one(self) -> bool:
        """Serve the next request; whether another one may follow."""
        self.is_busy = False
        try:
            head = self._next_head()
            if head is None:
                return False
            self.is_busy = True
            method, target, version, headers = parse_request(head)
            if len(headers.names) > self._limits.header_count:
                raise HeadersTooLarge(f"more than {self._limits.header_count} header fields")
            target = origin_form(method, target, version, headers)
            request = Request(method, target, version, headers)
            body = self._body_of(request)
        except ProxyError as error:
            return self._refuse(error)
        keep = version == b"1.1"
        if b"connection" in headers.names:
            options = connection_options(headers)
            keep = b"close" not in options and (keep or b"keep-alive" in options)
        request.peer = self
        response = self._service(request)
        if body is not None and not body.is_complete:
            body.discard_at_hand()
            keep = keep and body.is_complete
        return self._respond(request, response, keep and not self.is_draining)

    def _next_head(self) -> bytes | None:
        """The bytes of the next head without its final empty line, None at the end of input."""
        buffer = self._buffer or self._stream.receive(monotonic() + self._limits.idle_seconds)
        if not buffer:
            return None
        end = buffer.find(HEAD_END)
        if end <= 0 or buffer[0] == 13:
            whole = self._rest_of_head(buffer)
            if whole is None:
                return None
            buffer = whole
            end = buffer.find(HEAD_END)
        if end > self._limits.first_line:
            self._check_size(buffer[:end])
        self._buffer = buffer[end + 4 :]
        return buffer[:end]

    def _rest_of_head(self, buffer: bytes) -> bytes | None:
        """Read until *buffer* holds a whole head and begins with it."""
        limits = self._limits
        deadline = monotonic() + limits.head_seconds
        skipped = 0
        while True:
            while buffer.startswith(CRLF):
                buffer = buffer[2:]
                skipped += 2
            if skipped > limits.header_bytes:
                raise HeadersTooLarge("too many empty lines before the request")
            if HEAD_END in buffer:
                return buffer
            self._check_size(buffer)
            if is_hopeless(buffer):
                raise BadRequest("control character in the request head")
            try:
                data = self._stream.receive(deadline)
            except StreamTimeout:
                if not buffer:
                    return None
                raise RequestTimedOut("the request head did not arrive in time") from None
            if not data:
                return None
            buffer += data

    def _check_size(self, head: bytes) -> None:
        first = head.find(CRLF)
        if (len(head) if first < 0 else first) > self._limits.first_line:
            raise TargetTooLong("the request line is over maxInitialLineKB")
        if first >= 0 and len(head) - first - 2 > self._limits.header_bytes:
            raise HeadersTooLarge("the header fields are over maxHeadersKB")

    def _body_of(self, request: Request) -> ClientBody | None:
        """Attach the body, if the framing says there is one, and take Expect."""
        headers = request.headers
        expects = False
        if b"expect" in headers.names:
            if request.version == b"1.1":
                if [value.lower() for value in headers.get_all(b"expect")] != [b"100-continue"]:
                    raise ExpectationFailed("only `Expect: 100-continue` can be met")
                expects = True
            headers.remove(b"expect")
        length = request_length(headers, request.version)
        if not length:
            return None
        if length > self._limits.body_bytes:
            raise BodyTooLarge("the request body is over maxRequestBodyKB")
        at_hand, self._buffer = self._buffer, b""
        body = ClientBody(
            self._stream,
            length,
            at_hand,
            self._limits,
            self._invite if expects else None,
            self._keep_rest,
        )
        request.body = body
        return body

    def _invite(self) -> None:
        self._stream.send(_CONTINUE, self._limits.write_gap)

    def _keep_rest(self, rest: bytes) -> None:
        self._buffer = rest

    def _refuse(self, error: ProxyError) -> bool:
        """Answer what cannot be served, then close so that the client reads the answer."""
        response = self._answer(error)
        return self._respond(Request(b"GET", b"/", b"1.1", response.headers), response, False)

    def _respond(self, request: Request, response: Response, keep: bool) -> bool:
        """Write *response*; whether the connection may go on."""
        body, lines = response.body, response.headers.lines
        bodiless = request.method == b"HEAD" or response.status in _BODILESS
        framed = bodiless or b"content-length" in response.headers.names
        chunked = False
        if not framed:
            if isinstance(body, bytes):
                lines.append(b"Content-Length: %d" % len(body))
            elif request.version == b"1.1":
                chunked = True
                lines.append(b"Transfer-Encoding: chunked")
            else:
                keep = False
        self._finish_head(request, response, keep)
        start = b"HTTP/1.1 %d %b\r\n" % (response.status, response.reason)
        head = start + CRLF.join(lines) + HEAD_END
        if isinstance(body, bytes):
            self._stream.send(head if bodiless else head + body, self._limits.write_gap)
        elif not self._send_body(head, body, chunked, framed):
            return False
        if not keep:
            self._linger()
        return keep

    def _finish_head(self, request: Request, response: Response, keep: bool) -> None:
        """Add what every response of this connection says."""
        lines = response.headers.lines
        if b"date" not in response.headers.names:
            lines.append(_date_line())
        if not keep:
            lines.append(b"Connection: close")
        elif request.version == b"1.0":
            lines.append(b"Connection: keep-alive")

    def _send_body(self, head: bytes, body: Body, chunked: bool, framed: bool) -> bool:
        """Pass *body* on piece by piece; False when it was cut short, visibly for the client."""
        send, gap = self._stream.send, self._limits.write_gap
        try:
            if not body.has_piece:
                send(head, gap)
                head = b""
            while piece := body.read():
                framed_piece = encode(piece) if chunked else piece
                send(head + framed_piece if head else framed_piece, gap)
                head = b""
        except ProxyError:
            if framed or chunked:
                self._stream.close()
            else:
                self._stream.reset()
            return False
        finally:
            body.close()
        if chunked:
            send(head + last_chunk(body.trailers), gap)
        elif head:
            send(head, gap)
        return True

    def _linger(self) -> None:
        """Half-close and read on for a while, or the client might see a reset instead."""
        deadline = monotonic() + _LINGER_SECONDS
        self._stream.close_for_writing(self._limits.write_gap)
        left = _LINGER_BYTES
        while left > 0:
            data = self._stream.receive(deadline)
            if not data:
                return
            left -= len(data)


_date = (0, b"")


def _date_line() -> bytes:
    """The Date field, made once a second."""
    global _date  # noqa: PLW0603 - one immutable pair, replaced as a whole
    second = int(time())
    if _date[0] != second:
        _date = (second, b"Date: " + formatdate(second, usegmt=True).encode())
    return _date[1]
