"""Messages of HTTP/2 without a connection: their bodies end when a test says so."""

from collections.abc import Iterator

from meshproxy.http.ending import Ending
from meshproxy.http.headers import Headers, of
from meshproxy.http.message import Request, Response
from tests.kit.messages import Pieces


class Streaming:
    """A response body that arrives while nobody reads it: all of *data*, then its end.

    With *within* seconds the end comes while it is awaited for at least that long.
    """

    length: int | None = None
    has_piece = True

    def __init__(
        self, data: bytes = b"", *trailers: tuple[bytes, bytes], within: float | None = None
    ) -> None:
        self._data = data
        self._late = of(*trailers) if trailers else None
        self._within = within
        self.trailers: Headers | None = None
        self.held = self.received = len(data)
        self.ending = Ending()
        self.is_broken = False
        self.interruption: BaseException | None = None
        """What ends a wait for the end."""
        self.waited: list[tuple[int, float]] = []
        self.is_closed = self.is_complete = False

    def end(self, *, broken: bool = False) -> None:
        """Let the end arrive."""
        self.is_broken = broken
        if not broken:
            self.trailers, self.is_complete = self._late, True
        self.ending.come(broken)

    def give_up(self) -> None:
        """Let the client give it up before its end."""
        self.ending.come(broken=False)

    def await_end(self, most: int, seconds: float) -> bool:
        """See `http.body.AwaitedBody`."""
        self.waited.append((most, seconds))
        if self.interruption is not None:
            raise self.interruption
        if self.held > most or self._within is None or self._within > seconds:
            return False
        self.end()
        return True

    def read(self) -> bytes:
        """Return all of it, then nothing."""
        data, self._data, self.held = self._data, b"", 0
        return data

    def __iter__(self) -> Iterator[bytes]:
        """Yield all of it."""
        yield self.read()

    def close(self) -> None:
        """Note that nobody wants the rest."""
        self.is_closed = True


def stream_response(
    body: Streaming | bytes, *fields: tuple[bytes, bytes], status: int = 200
) -> Response:
    """Return a response as an endpoint of HTTP/2 gives it."""
    answer = Response(status, b"", of(*fields), body, b"2")
    if isinstance(body, Streaming):
        answer.ending = body.ending
    return answer


def call(
    *fields: tuple[bytes, bytes], method: bytes = b"POST", body: Pieces | None = None
) -> Request:
    """Return a request of a gRPC call."""
    headers = of(
        (b"Host", b"web"), (b"content-type", b"application/grpc"), (b"te", b"trailers"), *fields
    )
    return Request(method, b"/pkg.Greeter/Hello", b"2", headers, body)
