"""HTTP/1 as a listener's protocol."""

from dataclasses import dataclass

from meshproxy.errors import ProxyError
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream
from meshproxy.server.h1.connection import Connection
from meshproxy.server.protocol import Answer, Conversation
from meshproxy.service import Service


@dataclass(frozen=True, slots=True)
class Http1:
    """Serves the requests of each connection with *service*, within *limits*."""

    service: Service[Request, Response]
    limits: Limits
    answer: Answer
    """Makes the response to bytes that never become a request."""

    def accept(self, stream: Stream, remote: str, local: str, received: bytes = b"") -> Connection:
        """Returns a connection over *stream*, not yet running; both ends as `host:port`.

        *received* is what has been read to learn the protocol.
        """
        return Connection(stream, self.service, self.limits, remote, local, self.answer, received)

    def refuse(self, stream: Stream, error: ProxyError) -> None:
        """Responds with *error* to a connection that cannot be served, and closes it."""
        self.accept(stream, "", "").refuse(error)

    def adopt(self, conversation: Conversation) -> bool:
        """Serves *conversation* from now on. Returns False if it speaks another protocol."""
        if not isinstance(conversation, Connection):
            return False
        conversation.adopt(self.service, self.limits, self.answer)
        return True
