"""A tunnel on a stream: CONNECT over HTTP/2 (RFC 9113 section 8.5).

DATA are the bytes of the tunnel, END_STREAM is FIN, and a reset is RST: CONNECT_ERROR towards the
client. Windows are opened as the endpoint takes what came, so the slower side governs.
"""

from math import inf
from typing import TYPE_CHECKING

from meshproxy.errors import BadRequest, ClientGone, ProxyError, RequestTimedOut
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.fields import RequestHead
from meshproxy.h2.heads import response_fields
from meshproxy.h2.reset import ClientReset, StreamReset
from meshproxy.http.authority import authority_form
from meshproxy.http.message import Request, Response
from meshproxy.net.body import Faults
from meshproxy.net.h2.inbound import Inbound
from meshproxy.net.tunnel import Tunnel
from meshproxy.server.h2.call import Call

if TYPE_CHECKING:
    from meshproxy.server.h2.session import ServerSession

_FAULTS = Faults(malformed=BadRequest, closed=ClientGone, timed_out=RequestTimedOut)


class TunnelCall(Call):
    """Serves the CONNECT of one stream, in a greenlet until the tunnel has ended."""

    __slots__ = ("_connect", "_is_tunnel", "_knows")

    def __init__(self, session: "ServerSession", head: RequestHead, ends: bool) -> None:
        super().__init__(session, head)
        self._connect = head
        self._is_tunnel = False
        self._knows = False
        """True if its greenlet has met the end of the stream by reading."""
        if not ends:
            self.inbound = Inbound(self, None, _FAULTS, inf)

    def _request(self) -> Request:
        head, session = self._connect, self.session
        if head.length is not None:
            raise BadRequest("CONNECT has no body")
        headers = head.headers()
        headers.remove(b"expect")
        target = authority_form(head.path, headers, session.limits.connect_ports)
        request = Request(head.method, target, b"2", headers)
        request.peer = session
        return request

    def _respond(self, response: Response) -> None:
        """Sends *response*; if it opens a tunnel, relays until that ends."""
        tunnel = response.body
        if not isinstance(tunnel, Tunnel):
            super()._respond(response)
            return
        if self.failure is not None:
            response.close()
            raise self.failure
        self._is_tunnel = True
        session = self.session
        fields, names = response_fields(response.status, response.headers)
        session.engine.send_fields(self, fields, ends=False, names=names)
        session.touch()
        limits = session.limits
        tunnel.relay(self, b"", b"", limits.idle_seconds, limits.write_timeout)
        if self.can_send or self.can_receive:
            super().reset(ErrorCode.CANCEL, ClientReset("nothing moved in the tunnel"))

    def output_ended(self) -> None:
        """Goes on receiving after the endpoint's end; a refusal ends as any response does."""
        if not self._is_tunnel:
            super().output_ended()

    def _interrupt(self) -> None:
        if not self._knows:
            super()._interrupt()

    # What a relay asks of each of its ends: see `net.tunnel.TunnelEnd`.

    def receive(self, deadline: float) -> bytes:
        """Returns the next bytes; empty at the end.

        Raises StreamTimeout at monotonic second *deadline*, and OSError if the stream breaks.
        """
        inbound = self.inbound
        if inbound is None:
            return b""
        inbound.settle()
        while not inbound.is_readable:
            inbound.wait(deadline)
        try:
            data = inbound.read() or b""
        except ProxyError as error:
            self._knows = True
            raise ConnectionResetError(str(error)) from error
        if not data and inbound.trailers is not None:
            super().reset(ErrorCode.PROTOCOL_ERROR, ClientReset("a tunnel has no trailers"))
            raise ConnectionResetError("a tunnel has no trailers")
        return data

    def send(self, data: bytes, timeout: float) -> None:
        """Sends *data*; the session has the time limit. Raises OSError if the stream breaks."""
        del timeout
        try:
            self.outbound.write(data)
        except ProxyError as error:
            raise ConnectionResetError(str(error)) from error

    def close_for_writing(self, timeout: float) -> None:
        """Ends what goes to the client."""
        del timeout
        self.outbound.finish(None)

    def expire(self) -> None:
        """Ends a wait for the client with StreamTimeout. For the hub only."""
        if self.inbound is not None:
            self.inbound.expire()

    def reset(self, code: int = ErrorCode.CONNECT_ERROR, error: ProxyError | None = None) -> None:
        """Resets the stream, as the connection to the endpoint has broken."""
        super().reset(code, error or StreamReset("the tunnel broke", code))
