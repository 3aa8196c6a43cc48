"""One request and its response on a stream (RFC 9113 section 8.1).

The service runs in a pooled greenlet. A response that arrives on a stream itself is coupled to this
one, and the greenlet is free again.
"""

from typing import TYPE_CHECKING

from gevent import getcurrent
from greenlet import greenlet

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
from meshproxy.h2.encoder import Encodable
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.fields import RequestHead
from meshproxy.h2.grpc import is_grpc
from meshproxy.h2.heads import response_fields
from meshproxy.h2.own_methods import own_methods
from meshproxy.h2.reset import ClientReset, StreamReset, passed_on
from meshproxy.h2.static_table import ENTRY_OVERHEAD
from meshproxy.http import hop, l5d
from meshproxy.http.body import Body
from meshproxy.http.errors import forget_frames
from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.net.body import Faults
from meshproxy.net.h2.inbound import Inbound
from meshproxy.net.h2.stream import SessionStream
from meshproxy.net.h2.whole import MOST_BYTES, Whole
from meshproxy.server.date import date_line

if TYPE_CHECKING:
    from meshproxy.server.h2.session import ServerSession

_FAULTS = Faults(malformed=BadRequest, closed=ClientGone, timed_out=RequestTimedOut)
_BODILESS = frozenset({204, 304})
_CONTINUE_STATUS = 100
_CONTINUE = ((b":status", b"100"),)


@own_methods
class Call(SessionStream):
    """Serves the request of one stream; *head* is None if its fields are over the limits."""

    __slots__ = ("_greenlet", "_head", "_informed_bytes", "_is_head_request", "_whole")

    session: "ServerSession"

    def __init__(self, session: "ServerSession", head: RequestHead | None) -> None:
        self.session = session
        self.inbound = self._outbound = self.failure = None
        self._head = head
        self._greenlet: greenlet | None = None
        self._informed_bytes = 0
        """Of informational responses so far."""
        self._is_head_request = head is not None and head.method == b"HEAD"
        self._whole: Whole | None = None
        """The request's body, if all of it came before the request was served."""

    def run(self) -> None:
        """Serves the request, in a greenlet of its own."""
        self._greenlet = getcurrent()
        try:
            try:
                request = self._request()
            except ProxyError as error:  # met before the service, answered like those of HTTP/1
                response = self.session.terms.answer(error, self._refused())
            else:
                service = self.session.terms.service
                response = service(request)
            self._respond(response)
        except StreamReset as error:
            self.reset(passed_on(error.code), error)
        except ClientGone as error:
            self.reset(ErrorCode.CANCEL, error)
        except BaseException:
            self.reset(ErrorCode.INTERNAL_ERROR, StreamReset("the proxy failed"))
            raise
        finally:
            self._greenlet = None
            self.session.release(self)
            if self.inbound is not None or self._outbound is not None:
                self.let_go()
            if self.failure is not None:
                forget_frames(self.failure)

    def _refused(self) -> Request:
        """Returns the request of a stream whose head was refused, as far as it is known."""
        head = self._head
        method, path = (head.method, head.path) if head is not None else (b"", b"")
        request = Request(method, path, b"2", Headers())
        request.peer = self.session
        return request

    def _request(self) -> Request:
        head, session = self._head, self.session
        if head is None:
            raise HeadersTooLarge("the request's fields are over maxHeadersKB or maxHeaderCount")
        if len(head.path) > session.limits.first_line:
            raise TargetTooLong("the request's path is over maxInitialLineKB")
        if (head.length or 0) > session.limits.body_bytes:
            raise BodyTooLarge("the request body is over maxRequestBodyKB")
        headers = head.headers()
        body = self._whole or self.inbound
        if body is None and self.can_receive:
            body = self._begin_body(head)
        request = Request(head.method, head.path, b"2", headers, body)
        request.peer = session
        request.informed = self
        if head.scheme != session.scheme:
            request.scheme = head.scheme.lower()
        if b"expect" in headers.names:
            self._take_expect(headers)
        return request

    def data_received(self, data: bytes | memoryview, ends: bool) -> None:
        """Takes a piece of the request's body, which needs no `Inbound` if it is all."""
        if self.inbound is not None:
            self.inbound.take_piece(data, ends)
            return
        head, limits, size = self._head, self.session.limits, len(data)
        if head is None:
            super().data_received(data, ends)
        elif ends and size <= MOST_BYTES and size <= limits.body_bytes and isinstance(data, bytes):
            self._whole = Whole(data, head.length, limits.replay_bytes)
        else:
            self._begin_body(head).take_piece(data, ends)

    def trailers_received(self, trailers: Headers) -> None:
        """Ends the request's body, which may have had no DATA."""
        if self.inbound is None and self._head is not None:
            self._begin_body(self._head)
        super().trailers_received(trailers)

    def reset_received(self, code: int) -> None:
        """Ends a stream that the client has reset, and counts that."""
        self.session.stats.remote_resets.value += 1
        super().reset_received(code)

    def _begin_body(self, head: RequestHead) -> Inbound:
        limits = self.session.limits
        self.inbound = Inbound(
            self, head.length, _FAULTS, limits.read_idle, limits.body_bytes, limits.replay_bytes
        )
        return self.inbound

    def _take_expect(self, headers: Headers) -> None:
        values = [value.lower() for value in headers.get_all(b"expect")]
        headers.remove(b"expect")
        if values != [b"100-continue"]:
            raise ExpectationFailed("only `Expect: 100-continue` can be met")
        if self.inbound is not None:
            self.inbound.invite = self._invite

    def _invite(self) -> None:
        if self.can_send:
            self.session.engine.send_fields(self, _CONTINUE, ends=False)
            self.session.touch()

    def inform(self, status: int, headers: Headers) -> None:
        """Passes on an informational response of an endpoint; see `http.message.Informed`.

        Not 100, which is ours to send, nor to callers of gRPC. What has a length, or exceeds the
        limit of a head together with those before it, is left out, as is all while the client
        does not read.
        """
        session, names = self.session, headers.names
        if status == _CONTINUE_STATUS or not self.can_send or session.is_blocked:
            return
        if self._head is None or is_grpc(self._head.headers()):
            return
        self._informed_bytes += sum(map(len, headers.lines)) + ENTRY_OVERHEAD * (len(names) + 1)
        if b"content-length" in names or self._informed_bytes > session.limits.header_bytes:
            return
        hop.strip(headers, may_upgrade=False)
        headers.remove_where(l5d.is_ours)
        fields, sent = response_fields(status, headers)
        session.engine.send_fields(self, fields, False, headers.never_indexed, sent)
        session.touch()

    def _respond(self, response: Response) -> None:
        """Sends *response*, or begins to. Raises ClientGone if nobody waits for it any more."""
        if self.failure is not None:
            response.close()
            raise self.failure
        headers, body, status = response.headers, response.body, response.status
        if b"date" not in headers.names:
            headers.write_line(b"date", date_line())
        is_bodiless = self._is_head_request or status in _BODILESS
        if not is_bodiless and b"content-length" not in headers.names and isinstance(body, bytes):
            headers.write(b"content-length", b"%d" % len(body))
        (fields, names), never_indexed = response_fields(status, headers), headers.never_indexed
        if type(body) is Whole and not is_bodiless:
            if self.send_whole(fields, never_indexed, body.data, body.trailers, names):
                self.output_ended()
        elif is_bodiless or body == b"":
            self._send_head(fields, True, never_indexed, names)
            response.close()
            self.output_ended()
        elif isinstance(body, bytes):
            if self.send_whole(fields, never_indexed, body, None, names):
                self.output_ended()
        else:
            self._send_head(fields, False, never_indexed, names)
            self._relay(body)

    def _send_head(
        self,
        fields: tuple[Encodable, ...],
        ends: bool,
        never_indexed: frozenset[bytes],
        names: tuple[bytes, ...],
    ) -> None:
        session = self.session
        session.engine.send_fields(self, fields, ends, never_indexed, names)
        if not session.is_queued:
            session.touch()

    def _relay(self, body: Body) -> None:
        """Passes *body* on: coupled if it comes on a stream, else piece by piece.

        Raises what reading *body* raises, and ClientGone.
        """
        outbound = self.outbound
        if isinstance(body, Inbound):
            body.couple(outbound)
            return
        try:
            outbound.write_all(body)
            outbound.finish(body.trailers)
        except ProxyError as error:
            self.source_failed(error)
        finally:
            body.close()

    def reset(self, code: int, error: ProxyError) -> None:
        """Resets the stream, and counts that."""
        if self.failure is None:
            self.session.stats.local_resets.value += 1
        super().reset(code, error)

    def lost(self, code: int, error: ProxyError) -> None:
        """Ends the stream, and interrupts the service if it is still running."""
        if self.failure is None:
            super().lost(code, error)
            if self._greenlet is None:
                self.let_go()
            elif self._greenlet is not getcurrent():
                self.session.soon(self._interrupt)

    def let_go(self) -> None:
        """Forgets what nobody has read of the request, too, once the stream is closed."""
        inbound = self.inbound
        if inbound is not None and not self.can_send and not self.can_receive:
            inbound.close()
        super().let_go()

    def _interrupt(self) -> None:
        serving, failure = self._greenlet, self.failure
        if serving is not None:
            serving.throw(failure if isinstance(failure, ClientGone) else ClientReset(str(failure)))

    def output_ended(self) -> None:
        """Resets a stream whose request still arrives, with NO_ERROR (section 8.1)."""
        inbound = self.inbound
        if self.can_receive:
            self.session.engine.reset(self, ErrorCode.NO_ERROR)
            self.session.touch()
        if inbound is not None:
            inbound.close()
        if self._greenlet is None:
            self.let_go()

    def source_failed(self, error: ProxyError) -> None:
        """Resets the stream, whose response cannot be completed."""
        code = error.code if isinstance(error, StreamReset) else ErrorCode.INTERNAL_ERROR
        self.reset(passed_on(code), error)

    def stalled(self) -> None:
        """Resets the stream of a client that does not read."""
        self.session.stats.stalled.value += 1
        self.reset(ErrorCode.CANCEL, ClientReset("the client does not read its response"))

    def sink_lost(self, code: int) -> None:
        """Does nothing: the exchange with the endpoint, which has failed, says what follows."""

    def input_closed(self) -> None:
        """Does nothing: the response's end says that the rest is not wanted."""
