"""HTTP/1 as a listener serves it."""

from collections.abc import Callable
from dataclasses import dataclass

from meshproxy.errors import ProxyError
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream
from meshproxy.server.h1.connection import Connection
from meshproxy.server.protocol import Conversation
from meshproxy.service import Service


@dataclass(frozen=True, slots=True)
class Http1:
    """Serves the requests of each connection by *service*, within *limits*."""

    service: Service[Request, Response]
    limits: Limits
    answer: Callable[[ProxyError], Response]
    """Makes the response to bytes that never become a request."""

    def converse(self, stream: Stream, remote: str, local: str) -> Connection:
        """Returns the conversation over *stream*, not yet running; the ends as `host:port`."""
        return Connection(stream, self.service, self.limits, remote, local, self.answer)

    def refuse(self, stream: Stream, error: ProxyError) -> None:
        """Answers a connection that cannot be served with *error*, and closes it."""
        self.converse(stream, "", "").refuse(error)

    def adopt(self, conversation: Conversation) -> bool:
        """Serves what comes next on *conversation*. Returns False if another protocol is spoken."""
        if not isinstance(conversation, Connection):
            return False
        conversation.adopt(self.service, self.limits, self.answer)
        return True
