"""One client connection: read a request, serve it, write the response, go on or close.

RFC 9112 sections 2, 3, 6, 7 and 9. Requests are handled one at a time and in order; bytes of the
next one wait in the buffer.
"""

import re
from collections.abc import Callable
from functools import partial
from math import inf
from time import monotonic

import gevent
from greenlet import greenlet

from meshproxy.errors import (
    BadRequest,
    ClientGone,
    HeadersTooLarge,
    ProxyError,
    RequestTimedOut,
)
from meshproxy.http.chunked import encode_whole
from meshproxy.http.head import (
    CRLF,
    FIRST_READ,
    HEAD_END,
    check_request_size,
    is_hopeless,
    parse_request,
    parse_request_line,
)
from meshproxy.http.hop import connection_options
from meshproxy.http.limits import Limits
from meshproxy.http.message import Certificate, Request, Response
from meshproxy.http.target import origin_form, scheme_of
from meshproxy.net.stream import Stream, StreamTimeout
from meshproxy.net.tunnel import Tunnel
from meshproxy.net.turn import Unsent, next_turn
from meshproxy.server.request_body import ClientBody, WholeBody, body_of
from meshproxy.server.response import date_line, frame, linger, send_body, status_line
from meshproxy.server.tls import peer_certificate
from meshproxy.service import Service

_BODILESS = frozenset({204, 304})
_FRAMING = frozenset(b"expect content-length transfer-encoding connection".split())
"""Fields that say what follows a request on its connection; most GETs have none."""
_EMPTY_LINES = re.compile(rb"(?:\r\n)+").match


class Connection:
    """Serves one accepted connection until either side ends it."""

    __slots__ = (
        "_answer",
        "_buffer",
        "_certificate",
        "_dies_at",
        "_limits",
        "_service",
        "_short_head",
        "_stream",
        "ending",
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
        self.adopt(service, limits, answer)
        self._dies_at = monotonic() + limits.life_seconds
        self._buffer = b""
        self._certificate: Certificate | None = None
        self.remote = remote
        self.local = local
        self.ending = ""
        """What ended it: a limit, `idle`, `lifetime` or `write_timeout`, or `client_aborts`."""
        self.is_busy = False
        self.is_draining = False
        """Close after the present response."""

    @property
    def certificate(self) -> Certificate | None:
        """What the client showed in TLS, looked for when first asked."""
        if self._certificate is None:
            self._certificate = peer_certificate(self._stream.sock)
        return self._certificate

    def run(self) -> None:
        """Serve until the end, then close the socket, whatever happens.

        A reset by the client ends whatever its request is waiting for.
        """
        self._stream.on_stray = partial(self._end_if_reset, gevent.getcurrent())
        try:
            while self._serve_one():
                if self._buffer:
                    next_turn()  # many requests sent at once are not served at once
        except StreamTimeout:
            self.ending = "write_timeout"
            self._stream.reset()  # a client that does not read would keep the kernel's buffers
        except (OSError, ClientGone):
            if self.is_busy:
                self.ending = "client_aborts"
        finally:
            self._stream.send_posted()
            self._stream.close()

    def adopt(
        self,
        service: Service[Request, Response],
        limits: Limits,
        answer: Callable[[ProxyError], Response],
    ) -> None:
        """Serve the next request, or the one whose head is arriving, by these."""
        self._service = service
        self._limits = limits
        self._short_head = min(limits.first_line, limits.header_bytes)
        self._answer = answer

    def _end_if_reset(self, serving: greenlet) -> None:
        if self._stream.was_reset():
            serving.throw(ClientGone, "connection reset")

    def end_idle(self) -> None:
        """Close now unless a request is being received or served; call in the hub only."""
        if not self.is_busy:
            self._stream.expire()

    def _serve_one(self) -> bool:
        """Serve the next request; whether another one may follow."""
        self.is_busy = False
        head: bytes | None = None
        try:
            head = self._next_head()
            if head is None:
                return False
            method, target, version, headers = parse_request(head)
            if len(headers.names) > self._limits.header_count:
                raise HeadersTooLarge(f"more than {self._limits.header_count} header fields")
            asked = origin_form(method, target, version, headers, self._limits.connect_ports)
            request = Request(method, asked, version, headers)
            if asked is not target:
                request.scheme = scheme_of(target)
            body, keep = None, version == b"1.1"
            if not _FRAMING.isdisjoint(headers.names):
                body = self._body_of(request)
                if b"connection" in headers.names:
                    options = connection_options(headers)
                    keep = b"close" not in options and (keep or b"keep-alive" in options)
        except ProxyError as error:
            return self._refuse(error, self._buffer if head is None else head)
        request.peer = self
        service = self._service
        try:
            response = service(request)
        except ClientGone:
            self._refuse(BadRequest("the request ended within its body"), head)
            raise
        if self._dies_at < inf and monotonic() >= self._dies_at:
            keep = False
            self.ending = "lifetime"
        if body is not None and not body.is_complete:
            body.discard_at_hand()
            keep = keep and body.is_complete
        return self._respond(request, response, keep and not self.is_draining)

    def _next_head(self) -> bytes | None:
        """The bytes of the next head without its final empty line, None at the end of input."""
        buffer = self._buffer
        if not buffer:
            deadline = monotonic() + self._limits.idle_seconds
            if deadline > self._dies_at:  # noqa: PLR1730 - 0.1 us less than a call of min
                deadline = self._dies_at
            try:
                buffer = self._stream.receive(deadline, FIRST_READ)
            except Unsent as unsent:
                self.is_busy = True
                self._stream.send(unsent.rest, self._limits.write_gap)
                self.is_busy = False
                return self._next_head()
            except StreamTimeout:
                buffer = self._stream.receive_at_hand() or b""
                if not buffer and not self.is_draining:
                    self.ending = "lifetime" if monotonic() >= self._dies_at else "idle"
            if not buffer:
                return None
        self.is_busy = True
        end = buffer.find(HEAD_END)
        if end <= 0 or buffer[0] == 13:
            whole = self._rest_of_head(buffer)
            if whole is None:
                return None
            buffer = whole
            end = buffer.find(HEAD_END)
        if end > self._short_head:
            check_request_size(buffer[:end], self._limits)
        self._buffer = buffer[end + 4 :]
        return buffer[:end]

    def _rest_of_head(self, buffer: bytes) -> bytes | None:
        """Read until *buffer* holds a whole head and begins with it."""
        limits = self._limits
        self._stream.flush(limits.write_gap)
        deadline = monotonic() + limits.head_seconds
        skipped = 0
        while True:
            if empty := _EMPTY_LINES(buffer):
                buffer = buffer[empty.end() :]
                skipped += empty.end()
            self._buffer = buffer
            self.is_busy = bool(buffer)
            if skipped > limits.header_bytes:
                raise HeadersTooLarge("too many empty lines before the request")
            if HEAD_END in buffer:
                return buffer
            check_request_size(buffer.rstrip(CRLF), limits)
            if is_hopeless(buffer):
                raise BadRequest("control character in the request head")
            line, ended, _ = buffer.partition(CRLF)
            if ended:
                parse_request_line(line)  # or HTTP/0.9 would wait for the rest of its head
            try:
                data = self._stream.receive(deadline)
            except StreamTimeout:
                if not buffer:
                    return None
                raise RequestTimedOut("the request head did not arrive in time") from None
            if not data:
                return None
            buffer += data

    def _body_of(self, request: Request) -> ClientBody | WholeBody | None:
        at_hand, self._buffer = self._buffer, b""
        return body_of(request, self._stream, at_hand, self._limits, self._keep_rest)

    def _keep_rest(self, rest: bytes) -> None:
        self._buffer = rest

    def _refuse(self, error: ProxyError, head: bytes) -> bool:
        """Answer what cannot be served, then close so that the client reads the answer."""
        response = self._answer(error)
        method = b"HEAD" if head.startswith(b"HEAD ") else b"GET"
        return self._respond(Request(method, b"/", b"1.1", response.headers), response, False)

    def _respond(self, request: Request, response: Response, keep: bool) -> bool:
        """Write *response*; whether the connection may go on."""
        body, lines = response.body, response.headers.lines
        bodiless = request.method == b"HEAD" or response.status in _BODILESS
        framed = bodiless or b"content-length" in response.headers.names
        if not framed and isinstance(body, Tunnel):
            return self._tunnel(response, body)
        chunked = False if framed else frame(response, request.version)
        keep = keep and chunked is not None
        if b"date" not in response.headers.names:
            lines.append(date_line())
        if not keep or request.version == b"1.0":
            lines.append(b"Connection: keep-alive" if keep else b"Connection: close")
        start = status_line(response.status, response.reason)
        head = b"%b\r\n%b\r\n\r\n" % (start, CRLF.join(lines))
        if isinstance(body, bytes):
            data: bytes | None = head
            if not bodiless:
                data = encode_whole(head, body) if chunked else head + body
        elif bodiless:
            body.close()
            data = head
        else:
            data = send_body(self._stream, head, body, self._limits.write_gap, chunked)
        if data is None:
            return False
        if keep and not self._buffer and self._stream.post(data):
            return True
        self._stream.send(data, self._limits.write_gap)
        if not keep:
            linger(self._stream)
        return keep

    def _tunnel(self, response: Response, body: Tunnel) -> bool:
        """Send the head, then be a tunnel until it ends; the connection does not go on."""
        start = status_line(response.status, response.reason)
        sent, self._buffer = self._buffer, b""
        try:
            head = CRLF.join((start, *response.headers.lines)) + HEAD_END
            self._stream.send(head, self._limits.write_gap)
            body.relay(self._stream, sent, self._limits.idle_seconds, self._limits.write_gap)
        finally:
            body.close()
        return False
