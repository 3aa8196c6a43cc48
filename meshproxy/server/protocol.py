"""What a listener knows of the protocol it serves: how a connection becomes a conversation.

Each protocol is a room of its own below this one (`server/h1`); a protocol that is chosen by ALPN
or by the first bytes is one that makes the conversations of others.
"""

from typing import Protocol

from meshproxy.errors import ProxyError
from meshproxy.net.stream import Stream


class Conversation(Protocol):
    """One accepted connection, from its first byte to its last."""

    ending: str
    """The counter of what ended it, such as `idle` or `client_aborts`; empty for none."""
    is_draining: bool
    """Set when the connection is to end with what it is doing now."""

    def run(self) -> None:
        """Serves until the end, then closes the stream, whatever happens. Raises OSError."""
        ...

    def end_idle(self) -> bool:
        """Ends the conversation unless a request is in progress; called in the hub only.

        Returns True if none was.
        """
        ...


class ServerProtocol(Protocol):
    """How connections of one server are served; a reload replaces it by another."""

    def converse(self, stream: Stream, remote: str, local: str) -> Conversation:
        """Returns the conversation over *stream*, not yet running; the ends as `host:port`."""
        ...

    def refuse(self, stream: Stream, error: ProxyError) -> None:
        """Answers a connection that cannot be served with *error*, and closes it."""
        ...

    def adopt(self, conversation: Conversation) -> bool:
        """Serves what comes next on *conversation*. Returns False if another protocol is spoken."""
        ...
