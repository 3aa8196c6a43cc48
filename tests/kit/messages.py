"""Requests, their bodies, and the services at the end of a stack, for tests below the server."""

from collections import deque
from collections.abc import Iterator

from meshproxy.http.headers import Headers, of
from meshproxy.http.message import Request, Response
from meshproxy.net.stream import Stream


class Heard:
    """A client that notes what informational responses it is told of."""

    def __init__(self) -> None:
        self.said: list[tuple[int, list[bytes]]] = []

    def inform(self, status: int, headers: Headers) -> None:
        self.said.append((status, headers.lines))


class Pieces:
    """A request body whose pieces are all at hand."""

    def __init__(
        self,
        *pieces: bytes,
        chunked: bool = False,
        is_replayable: bool = True,
        trailers: Headers | None = None,
        is_complete: bool = True,
    ) -> None:
        self._pieces = pieces
        self._waiting = deque(pieces)
        self.length = None if chunked else sum(map(len, pieces))
        self.is_replayable = is_replayable
        self.trailers = trailers
        self.is_bulk = False
        self.is_complete = is_complete
        self.keep = 1 << 30
        """The least that `keep_at_most` was told."""
        self.rewound = 0
        """How often it was begun."""

    @property
    def has_piece(self) -> bool:
        return bool(self._waiting)

    def keep_at_most(self, size: int) -> None:
        self.keep = min(self.keep, size)

    def rewind(self, deadline: float = 0.0) -> None:
        del deadline
        self.rewound += 1
        self._waiting = deque(self._pieces)

    def read(self, other: Stream | None = None) -> bytes:
        del other
        return self._waiting.popleft() if self._waiting else b""

    def fill(self, pipe: object, other: Stream | None = None) -> int | None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def close(self) -> None:
        self._waiting.clear()


def request(
    *fields: tuple[bytes, bytes],
    method: bytes = b"GET",
    body: Pieces | None = None,
    version: bytes = b"1.1",
) -> Request:
    """Return a request for `/` of the host `web` with more *fields*."""
    headers = of((b"Host", b"web"), *fields)
    if body is not None and body.length is not None:
        headers.add(b"Content-Length", b"%d" % body.length)
    return Request(method, b"/", version, headers, body)


def response(status: int = 200, *fields: tuple[bytes, bytes], body: bytes = b"") -> Response:
    """Return a response as an endpoint would give it."""
    return Response(status, b"", of(*fields), body)


def body_of(message: Response) -> bytes:
    """Read the body to its end."""
    if isinstance(message.body, bytes):
        return message.body
    return b"".join(bytes(piece) for piece in message.body)


class Arriving:
    """A response body in *pieces*, of which an exception is raised."""

    length: int | None = None

    def __init__(self, *pieces: bytes | Exception, trailers: Headers | None = None) -> None:
        self._pieces = iter(pieces)
        self.trailers = trailers
        self.has_piece = False
        self.is_closed = False

    def read(self) -> bytes:
        piece = next(self._pieces, b"")
        if isinstance(piece, Exception):
            raise piece
        return piece

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def close(self) -> None:
        self.is_closed = True


class Endless:
    """A response body that only ends when it is closed."""

    length: int | None = None
    trailers: Headers | None = None
    has_piece = True

    def __init__(self) -> None:
        self.is_closed = False

    def read(self) -> bytes:
        return b"" if self.is_closed else b"more"

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def close(self) -> None:
        self.is_closed = True


class Replies:
    """A service that gives what it was told to, one after the other, and notes what it was asked.

    An exception is raised; the last reply goes on for ever.
    """

    def __init__(self, *replies: Response | Exception) -> None:
        self._replies = replies
        self.requests: list[list[bytes]] = []
        """The header lines of every request."""

    def __call__(self, asked: Request) -> Response:
        self.requests.append(list(asked.headers.lines))
        reply = self._replies[min(len(self.requests), len(self._replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply
