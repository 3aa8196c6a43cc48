"""One request and its response on a stream of a session (RFC 9113 section 8.1).

The request's body is coupled if it arrives on a stream itself; else the greenlet of the request
sends it, until the response comes. A body that is still arriving goes on without a greenlet.
"""

from math import inf
from time import monotonic
from typing import TYPE_CHECKING

from gevent import getcurrent

from meshproxy.errors import BadResponse, ConnectionClosed, NoResponse, ProxyError, ServiceTimedOut
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.fields import ResponseHead
from meshproxy.h2.heads import request_fields
from meshproxy.h2.own_methods import own_methods
from meshproxy.h2.reset import ClientReset, passed_on
from meshproxy.http.body import RequestBody
from meshproxy.http.ending import Ending
from meshproxy.http.headers import Headers
from meshproxy.http.message import REASONS, Request, Response
from meshproxy.http.whole_body import WholeBody
from meshproxy.net.body import Faults
from meshproxy.net.h2.inbound import Inbound
from meshproxy.net.h2.stream import SessionStream
from meshproxy.net.h2.waiting import Waiting
from meshproxy.net.h2.whole import MOST_BYTES, Whole
from meshproxy.net.stream import StreamTimeout

if TYPE_CHECKING:
    from meshproxy.client.h2.session import ClientSession

MAX_INTERIM = 64
"""Most informational responses to one request."""
_reason = REASONS.get
_FAULTS = Faults(malformed=BadResponse, closed=ConnectionClosed, timed_out=ServiceTimedOut)


@own_methods
class H2Exchange(SessionStream, Waiting):
    """Sends *request* on a new stream of *session*, which has room for it.

    It waits for the response itself, and is what interrupts a wait for more of the request; see
    `http.body.Interruption`.
    """

    __slots__ = (
        "_data", "_ending", "_flushes", "_head", "_interims", "_is_whole", "_latest", "_request",
        "_trailers", "_waiter", "deadline", "due", "filed_until", "is_readable",
    )  # fmt: skip

    session: "ClientSession"

    def __init__(self, session: "ClientSession", request: Request, deadline: float) -> None:
        self.session = session
        self.inbound = self._outbound = self.failure = None
        session.engine.open(self, request.method == b"HEAD")
        self._request = request
        self._flushes = session.flushes
        self._head: ResponseHead | None = None
        self._data = b""
        """What came of the response's body before anybody looked at its head, if that is short."""
        self._is_whole = False
        """True if that is all of it, and `_trailers` are those that ended it, if any did."""
        self._trailers: Headers | None = None
        self._interims = 0
        self._ending: Ending | None = None
        self._latest = deadline
        self.due = inf
        """Monotonic second at which a wait for the response is to end; the session sees to it."""
        self.is_readable = False
        """True if the response has begun, or the stream is over."""
        self._waiter = None

    def run(self) -> Response:
        """Sends the request and returns the response, whose body may still be arriving.

        Raises StreamReset, StreamRefused, ServiceTimedOut, BadResponse, NoResponse or
        ConnectionClosed, or what reading the client's body raises; the stream is then closed.
        """
        session, request = self.session, self._request
        body, headers = request.body, request.headers
        try:
            fields, names = request_fields(request.method, session.scheme, request.target, headers)
            if isinstance(body, WholeBody):
                data, trailers = body.whole(), body.trailers
                self.send_whole(fields, headers.never_indexed, data, trailers, names)
            else:
                ends, never_indexed = body is None, headers.never_indexed
                session.engine.send_fields(self, fields, ends, never_indexed, names)
                if not session.is_queued:
                    session.touch()
                if body is not None:
                    self._send(body)
            first_byte = session.limits.first_byte
            if not self.can_send and (latest := monotonic() + first_byte) < self._latest:
                self._latest = latest
            while not self.is_readable:
                self.wait(self._latest)
            return self._response()
        except StreamTimeout:
            failure = ServiceTimedOut("timed out waiting for a response")
            self.abandon(ErrorCode.CANCEL, failure)
            raise failure from None
        except BaseException as error:
            self.abandon(_code_of(error), ConnectionClosed("the exchange was given up"))
            raise
        finally:
            if self._ending is None and (self.inbound or self._outbound):
                self.let_go()

    def _response(self) -> Response:
        """Returns the response with its body, which may still be arriving."""
        head = self._head
        if head is None:
            raise self.failure or ConnectionClosed("the stream ended without a response")
        response = Response(head.status, _reason(head.status, b""), head.headers(), b"", b"2")
        if self._is_whole:
            response.body = data = self._data
            if self._trailers is not None:
                response.body = Whole(data, head.length, MOST_BYTES, self._trailers)
            return response
        inbound = self.inbound or self._begin_body()
        if not inbound.is_complete:
            if self.failure is not None and inbound.received != inbound.length:
                raise self.failure
            response.body = inbound
            response.ending = self._ending = Ending()
            if self.failure is not None:  # it came in the read that brought the last byte
                inbound.on_end = None
                inbound.fail(self.failure)
                self.session.soon(lambda: self._ended(inbound.is_broken))
        elif inbound.trailers is not None:
            response.body = inbound
        else:
            response.body = inbound.read() or b""
            inbound.close()
        return response

    # The request's body.

    def _send(self, body: RequestBody) -> None:
        """Sends *body*, or as much of it as can be sent until the response comes."""
        body.rewind(self._latest)
        outbound = self.outbound
        if isinstance(body, Inbound):
            body.couple(outbound)
            return
        while (piece := body.read(self)) is not None:
            if not piece:
                outbound.finish(body.trailers)
                return
            if body.is_complete and not body.has_piece and body.trailers is None:
                outbound.push(bytes(piece), ends=True)
                return
            outbound.offer(piece)
            while outbound.is_blocked and not self.is_readable:
                outbound.wait(self._latest)
            if self.is_readable:
                return

    def wait(self, deadline: float) -> None:
        """As `Waiting.wait`; the session watches the time, so it is one entry of the wheel."""
        switch = self.session.switch
        self.due = deadline
        if deadline < self.session.deadline:
            self.session.watch_until(deadline)
        self._waiter = getcurrent()
        try:
            switch()
        finally:
            self._waiter = None
            self.due = inf

    def _wake(self) -> None:
        """Wakes the request's greenlet, wherever it waits, as something has arrived."""
        self.is_readable = True
        if self._waiter is not None:
            self.session.soon(self._resume)
        if self._outbound is not None:
            self._outbound.resume_soon(self.session)

    # What the session calls.

    def interim_received(self, head: ResponseHead) -> None:
        """Tells the client of an informational response, of which there may be `MAX_INTERIM`."""
        self._interims += 1
        if self._interims > MAX_INTERIM:
            error = BadResponse("too many informational responses")
            self.reset(ErrorCode.ENHANCE_YOUR_CALM, error)
        else:
            self._request.inform(head.status, head.headers())

    def response_received(self, head: ResponseHead, ends: bool) -> None:
        """Takes the head of the response, which is all of it if it *ends*."""
        self.session.has_served = True
        self._head = head
        if ends:
            self._is_whole = True
            if self.can_send:
                self._give_up_request()
        self._wake()

    def data_received(self, data: bytes | memoryview, ends: bool) -> None:
        """Takes a piece of the body, which needs no `Inbound` if the rest is here in time."""
        if self.inbound is not None:
            self.inbound.take_piece(data, ends)
        elif ends:
            self._data += data
            self._is_whole = True
            if self.can_send:
                self._give_up_request()
        elif len(self._data) + len(data) <= MOST_BYTES:
            self._data += data
        else:
            self._begin_body().take_piece(data, ends)

    def trailers_received(self, trailers: Headers) -> None:
        """Takes the trailers, after which all of a short response may be held here."""
        if self.inbound is not None:
            self.inbound.take_trailers(trailers.copy())
            return
        self._trailers = trailers
        self._is_whole = True
        if self.can_send:
            self._give_up_request()

    def _begin_body(self) -> Inbound:
        """Returns the body of a response whose head has come, with what has come of it."""
        length = self._head.length if self._head is not None else None
        self.inbound = inbound = Inbound(self, length, _FAULTS, self.session.limits.response_idle)
        inbound.on_end = self._ended
        if self._data:
            inbound.take_piece(self._data, ends=False)
            self._data = b""
        return inbound

    def _ended(self, broken: bool) -> None:
        """Records the end of the body, which settles how the response turned out."""
        if self.inbound is not None and self.inbound.is_complete:
            self._give_up_request()
        if self._ending is not None:
            self._ending.come(broken)
            self.let_go()

    def _give_up_request(self) -> None:
        """Abandons the rest of a request whose response is complete."""
        if self.can_send:
            self.session.engine.reset(self, ErrorCode.CANCEL)
            self.session.touch()
            if self._outbound is not None:
                self._outbound.abandon(ErrorCode.NO_ERROR)

    def output_ended(self) -> None:
        """Limits the time for the first byte of the response from now on."""
        latest = monotonic() + self.session.limits.first_byte
        if latest < self._latest:
            self._latest = latest
            if latest < self.due < inf:
                self.due = latest
                self.session.watch_until(latest)

    def lost(self, code: int, error: ProxyError) -> None:
        """Ends the exchange; an error of the whole connection becomes one of this request."""
        if self.failure is None:
            if type(error) is BadResponse:
                error = BadResponse(str(error))
            elif type(error) is ConnectionClosed:
                error = self._cut_off(str(error))
            super().lost(code, error)
            self._wake()

    def source_failed(self, error: ProxyError) -> None:
        """Resets the stream, whose request cannot be completed."""
        self.reset(_code_of(error), error)

    def sink_lost(self, code: int) -> None:
        """Resets the stream, as the client that the response is for has left."""
        self.reset(passed_on(code), ClientReset("the client reset the stream", code))

    def input_closed(self) -> None:
        """Resets the stream, as the rest of the response is not needed."""
        self.reset(ErrorCode.CANCEL, ClientReset("the rest of the response is not wanted"))

    def stalled(self) -> None:
        """Resets the stream, as the endpoint does not read the request's body."""
        self.reset(ErrorCode.CANCEL, ServiceTimedOut("timed out sending the request's body"))

    def _cut_off(self, why: str) -> ProxyError:
        if self._head is not None:
            return ConnectionClosed(why)
        unanswered = NoResponse(why)
        unanswered.nothing_sent = self._flushes == self.session.flushes
        return unanswered


def _code_of(error: BaseException) -> int:
    """Returns the code that tells an endpoint why its stream is given up."""
    return passed_on(error.code) if isinstance(error, ClientReset) else ErrorCode.CANCEL
