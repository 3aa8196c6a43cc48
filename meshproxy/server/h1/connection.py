"""A client connection: read a request, serve it, write the response, continue or close.

RFC 9112 sections 2, 3, 6, 7 and 9. Requests are handled one at a time and in order; bytes of the
next one stay in the buffer.
"""

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
)
from meshproxy.http.chunked import encode_whole
from meshproxy.http.framing import BODILESS
from meshproxy.http.head import CRLF, HEAD_END, parse_request
from meshproxy.http.headers import Headers
from meshproxy.http.hop import connection_options
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.http.peer import Certificate
from meshproxy.http.target import origin_form, scheme_of
from meshproxy.http.whole_body import WholeBody
from meshproxy.net.stream import Stream, StreamTimeout
from meshproxy.net.tunnel import Tunnel
from meshproxy.net.turn import next_turn
from meshproxy.server.date import date_line
from meshproxy.server.h1.request_body import ClientBody, body_of
from meshproxy.server.h1.request_head import RequestHeads
from meshproxy.server.h1.response import (
    frame,
    linger,
    reason_of_refusal,
    send_body,
    status_line,
)
from meshproxy.server.protocol import Answer
from meshproxy.server.tls import peer_certificate
from meshproxy.service import Service

_FRAMING = frozenset(b"expect content-length transfer-encoding connection".split())
"""Fields that decide what follows a request on its connection; most GETs have none."""


class Connection:
    """Serves one accepted connection until either side ends it."""

    __slots__ = (
        "_answer",
        "_certificate",
        "_dies_at",
        "_heads",
        "_limits",
        "_service",
        "_stream",
        "ending",
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
        answer: Answer,
        received: bytes = b"",
    ) -> None:
        self._stream = stream
        self._heads = RequestHeads(stream, limits)
        self._heads.buffer = received
        self.adopt(service, limits, answer)
        self._dies_at = monotonic() + limits.life_seconds
        self._certificate: Certificate | None = None
        self.remote = remote
        self.local = local
        self.ending = ""
        """Counter of its end: a limit, `idle`, `lifetime`, `write_timeout` or `client_aborts`."""
        self.is_draining = False
        """True if the connection closes after the present response."""

    @property
    def is_busy(self) -> bool:
        """True while a request is being received or served."""
        return self._heads.has_begun

    @property
    def certificate(self) -> Certificate | None:
        """The certificate that the client presented in TLS, read on first use."""
        if self._certificate is None:
            self._certificate = peer_certificate(self._stream)
        return self._certificate

    def run(self) -> None:
        """Serves until the end, then closes the socket in any case.

        If the client resets the connection, whatever its request waits for is ended.
        """
        self._stream.on_stray = partial(self._end_if_reset, gevent.getcurrent())
        if self.is_draining:
            self._heads.hurry()
        try:
            while self._serve_one():
                if self._heads.buffer:
                    next_turn()  # many pipelined requests must not be served in one go
        except StreamTimeout:
            self.ending = "write_timeout"
            self._stream.reset()  # a client that does not read would keep the kernel's buffers
        except (OSError, ClientGone):
            if self.is_busy:
                self.ending = "client_aborts"
        finally:
            self._stream.send_queued()
            self._stream.close()

    def adopt(
        self,
        service: Service[Request, Response],
        limits: Limits,
        answer: Answer,
    ) -> None:
        """Serves with these from the next request on, or from one whose head is still arriving."""
        self._service = service
        self._limits = limits
        self._heads.adopt(limits)
        self._answer = answer

    def refuse(self, error: ProxyError) -> None:
        """Responds with *error* to any request and closes the socket."""
        try:
            self._refuse(error, b"")
        finally:
            self._stream.close()

    def _end_if_reset(self, serving: greenlet) -> None:
        if self._stream.was_reset():
            serving.throw(ClientGone, "connection reset")

    def end_idle(self) -> bool:
        """Closes at once unless a request is being received or served. Called in the hub only."""
        if self.is_busy:
            return False
        self._stream.expire()
        return True

    def _serve_one(self) -> bool:
        """Serves the next request. Returns True if another one may follow."""
        heads = self._heads
        heads.has_begun = False
        head: bytes | None = None
        try:
            head = heads.next(self._dies_at)
            if head is None:
                return self._finish()
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
            return self._refuse(error, heads.buffer if head is None else head)
        request.peer = self
        service = self._service
        try:
            response = service(request)
        except ClientGone:
            ended = BadRequest("the request ended within its body")
            self._respond(request, self._answer(ended, None), False)
            raise
        if self._dies_at < inf and monotonic() >= self._dies_at:
            keep = False
            self.ending = "lifetime"
        if body is not None and not body.is_complete:
            body.discard_buffered()
            keep = keep and body.is_complete
        return self._respond(request, response, keep and not self.is_draining)

    def _finish(self) -> bool:
        """Records why no further request came. Returns False."""
        if self._heads.timed_out and not self.is_draining:
            self.ending = "lifetime" if monotonic() >= self._dies_at else "idle"
        return False

    def _body_of(self, request: Request) -> ClientBody | WholeBody | None:
        buffered, self._heads.buffer = self._heads.buffer, b""
        return body_of(request, self._stream, buffered, self._limits, self._keep_rest)

    def _keep_rest(self, rest: bytes) -> None:
        self._heads.buffer = rest

    def _refuse(self, error: ProxyError, head: bytes) -> bool:
        """Responds with *error*, then closes so that the client can read the response."""
        method, _, rest = head.partition(b" ")
        request = Request(method if rest else b"", rest.partition(b" ")[0], b"1.1", Headers())
        request.peer = self
        return self._respond(request, self._answer(error, request), False)

    def _respond(self, request: Request, response: Response, keep: bool) -> bool:
        """Writes *response*. Returns True if another request may follow."""
        body, lines = response.body, response.headers.lines
        if not isinstance(body, bytes) and isinstance(body, Tunnel):
            return self._tunnel(response, body)
        status = response.status
        bodiless = status in BODILESS or request.method == b"HEAD"
        framed = bodiless or b"content-length" in response.headers.names
        chunked = False if framed else frame(response, request.version)
        is_connect = request.method == b"CONNECT"  # what follows was meant for the tunnel
        keep = keep and chunked is not None and not is_connect
        if b"date" not in response.headers.names:
            lines.append(date_line())
        if not keep or request.version == b"1.0":
            lines.append(b"Connection: keep-alive" if keep else b"Connection: close")
        reason = reason_of_refusal(response) if is_connect else response.reason
        start, fields = status_line(status, reason), CRLF.join(lines)
        data: bytes | None
        if isinstance(body, bytes):
            content = b"" if bodiless else encode_whole(body) if chunked else body
            data = b"".join((start, fields, HEAD_END, content))
        else:
            data = b"".join((start, fields, HEAD_END))
            if bodiless:
                body.close()
            else:
                data = send_body(self._stream, data, body, self._limits.write_timeout, chunked)
        if data is None:
            return False
        if keep and not self._heads.buffer and self._stream.enqueue(data):
            return True
        self._stream.send(data, self._limits.write_timeout)
        if not keep:
            linger(self._stream)
        return keep

    def _tunnel(self, response: Response, body: Tunnel) -> bool:
        """Sends the head and relays until the tunnel ends. Returns False, as nothing may follow."""
        start = status_line(response.status, response.reason)
        head = b"".join((start, CRLF.join(response.headers.lines), HEAD_END))
        sent, self._heads.buffer = self._heads.buffer, b""
        limits = self._limits
        body.relay(self._stream, head, sent, limits.idle_seconds, limits.write_timeout)
        return False
