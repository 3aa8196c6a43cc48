"""Both versions of HTTP on one listener: by ALPN under TLS, else by the first bytes.

An HTTP/2 client with prior knowledge begins with 24 bytes that no HTTP/1 request can begin with
(RFC 9113 section 3.3).
"""

from dataclasses import dataclass
from math import inf
from time import monotonic

from meshproxy.errors import ProxyError
from meshproxy.h2.frames import PREFACE
from meshproxy.net.stream import Stream, StreamTimeout
from meshproxy.net.tls import TlsStream
from meshproxy.server.h1.protocol import Http1
from meshproxy.server.h2.protocol import Http2
from meshproxy.server.protocol import Conversation, Lasting

ALPN = ("h2", "http/1.1")
"""What such a server offers in TLS, in the order of its preference."""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """Serves each connection by the protocol that its client speaks."""

    http1: Http1
    http2: Http2

    def accept(self, stream: Stream, remote: str, local: str) -> Conversation:
        """Returns a conversation over *stream*, not yet running; both ends as `host:port`.

        In TLS, a client without ALPN speaks HTTP/1.
        """
        if stream.is_plain:
            return Undecided(self, stream, remote, local)
        if isinstance(stream, TlsStream) and stream.secured.alpn == "h2":
            return self.http2.accept(stream, remote, local)
        return self.http1.accept(stream, remote, local)

    def refuse(self, stream: Stream, error: ProxyError) -> None:
        """Responds with *error* in HTTP/1, which a person reads in either case, and closes."""
        self.http1.refuse(stream, error)

    def adopt(self, conversation: Conversation) -> bool:
        """Serves *conversation* from now on. Returns False if it speaks another protocol."""
        if isinstance(conversation, Undecided):
            return conversation.adopt(self)
        return self.http1.adopt(conversation) or self.http2.adopt(conversation)


class Undecided:
    """A plain connection whose first bytes decide; from then on it is the conversation chosen."""

    def __init__(self, protocol: Negotiated, stream: Stream, remote: str, local: str) -> None:
        self._protocol = protocol
        self._stream = stream
        self._remote = remote
        self._local = local
        self._chosen: Conversation | None = None
        self._is_draining = False
        self._ending = ""

    @property
    def ending(self) -> str:
        """See `Conversation`."""
        return self._ending if self._chosen is None else self._chosen.ending

    @ending.setter
    def ending(self, ending: str) -> None:
        self._ending = ending

    @property
    def is_draining(self) -> bool:
        """See `Conversation`."""
        return self._is_draining

    @is_draining.setter
    def is_draining(self, is_draining: bool) -> None:
        self._is_draining = is_draining
        if self._chosen is not None:
            self._chosen.is_draining = is_draining

    def adopt(self, protocol: Negotiated) -> bool:
        """Serves by *protocol*. Returns False if that cannot be."""
        self._protocol = protocol
        return self._chosen is None or protocol.adopt(self._chosen)

    def end_idle(self) -> bool:
        """Ends the conversation unless a request is in progress."""
        if self._chosen is not None:
            return self._chosen.end_idle()
        self._stream.expire()
        return True

    def run(self) -> Lasting | None:
        """Reads the first bytes, then serves by the protocol that they are."""
        received = self._first_bytes()
        if not received:
            self._stream.close()
            return None
        protocol = self._protocol
        chosen = protocol.http2 if received.startswith(PREFACE) else protocol.http1
        conversation = chosen.accept(self._stream, self._remote, self._local, received)
        conversation.is_draining = self._is_draining
        self._chosen = conversation
        return conversation.run()

    def _first_bytes(self) -> bytes:
        """Returns what has come once it decides; empty if too little comes."""
        limits = self._protocol.http1.limits
        deadline = monotonic() + min(limits.idle_seconds, limits.life_seconds)
        received = b""
        try:
            while len(received) < len(PREFACE) and PREFACE.startswith(received):
                data = self._stream.receive(deadline)
                if not data:
                    break
                received += data
                if deadline < inf:
                    deadline = min(deadline, monotonic() + limits.head_seconds)
        except StreamTimeout:
            self._ending = "" if self._is_draining else "idle"
            return b""
        except OSError:
            return b""
        return received
