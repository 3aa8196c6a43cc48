"""A server that requests can be sent to, as rooms below the clients see it."""

from collections.abc import Callable
from typing import Protocol

from meshproxy.http.message import Request, Response


class Origin(Protocol):
    """The connections to one server, made on demand."""

    @property
    def exchange(self) -> Callable[[Request, float], Response]:
        """Sends a request by a monotonic second; the response's body may still be arriving.

        Raises ProxyError.
        """
        ...

    def close(self) -> None:
        """Closes connections without a request now, the others after their last one."""
        ...
