"""The interface between a listener and the protocol that it serves.

Each protocol has a room of its own below this one (`server/h1`); a protocol that is chosen by ALPN
or by the first bytes is one that delegates to others.
"""

from collections.abc import Callable
from typing import Protocol

from meshproxy.errors import ProxyError
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream

Answer = Callable[[ProxyError, Request | None], Response]
"""Makes the response to bytes that never become a request, and records what is known of it.

That is None if it is recorded already.
"""


class Lasting(Protocol):
    """What goes on without a greenlet after its conversation's `run`."""

    on_end: Callable[[], object] | None
    """Called once when the stream has been closed; it must not wait."""

    def cut(self) -> None:
        """Closes the stream at once."""
        ...


class Conversation(Protocol):
    """An accepted connection, from its first byte to its last."""

    ending: str
    """Name of the counter of what ended it, such as `idle` or `client_aborts`; empty for none."""
    is_draining: bool
    """True if the connection is to end with its present request."""

    def run(self) -> Lasting | None:
        """Serves until the end, then closes the stream in any case. Raises OSError.

        Returns what goes on by itself, if that is how it serves.
        """
        ...

    def end_idle(self) -> bool:
        """Ends the conversation unless a request is in progress; must be called in the hub.

        Returns True if it was ended.
        """
        ...


class ServerProtocol(Protocol):
    """How the connections of one server are served; a reload replaces it."""

    def accept(self, stream: Stream, remote: str, local: str) -> Conversation:
        """Returns the conversation over *stream*, not yet running; both ends as `host:port`."""
        ...

    def refuse(self, stream: Stream, error: ProxyError) -> None:
        """Responds with *error* to a connection that cannot be served, and closes it."""
        ...

    def adopt(self, conversation: Conversation) -> bool:
        """Serves *conversation* from now on. Returns False if it speaks another protocol."""
        ...
