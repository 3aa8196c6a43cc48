"""HTTP/2 as a listener's protocol."""

from dataclasses import dataclass, field

from meshproxy.errors import ProxyError
from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.settings import LocalSettings
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream
from meshproxy.server.h2.session import ServerSession
from meshproxy.server.h2.stats import H2ServerStats
from meshproxy.server.protocol import Answer, Conversation
from meshproxy.service import Service


@dataclass(frozen=True, slots=True)
class Http2:
    """Serves the requests of each connection with *service*, within *limits* and *settings*."""

    service: Service[Request, Response]
    limits: Limits
    answer: Answer
    """Makes the response to a head that never becomes a request."""
    stats: H2ServerStats
    settings: LocalSettings = field(default_factory=LocalSettings)

    def accept(
        self, stream: Stream, remote: str, local: str, received: bytes = b""
    ) -> ServerSession:
        """Returns a session over *stream*, not yet running; both ends as `host:port`.

        *received* is what has been read to learn the protocol.
        """
        return ServerSession(stream, self, remote, local, received)

    def refuse(self, stream: Stream, error: ProxyError) -> None:
        """Says that no stream was served, and closes the connection."""
        goodbye = frames.goaway(0, ErrorCode.ENHANCE_YOUR_CALM, str(error).encode())
        try:
            stream.send(frames.settings(()) + goodbye, self.limits.write_timeout)
        finally:
            stream.close()

    def adopt(self, conversation: Conversation) -> bool:
        """Serves *conversation* from now on. Returns False if it speaks another protocol.

        Its SETTINGS stay as they are.
        """
        if not isinstance(conversation, ServerSession):
            return False
        conversation.adopt(self)
        return True
