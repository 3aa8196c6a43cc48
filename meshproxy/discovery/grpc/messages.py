"""What calls of gRPC send and receive: messages, heads and statuses.

A message is a byte that says if it is compressed, four bytes of length, and protobuf. The status is
in the trailers, or in the head if there is no message.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Final
from urllib.parse import unquote

from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.h2.grpc import CONTENT_TYPE, MESSAGE, STATUS
from meshproxy.http.headers import of
from meshproxy.http.message import Request, Response
from meshproxy.http.whole_body import WholeBody

_PREFIX: Final = Struct("!BI")
_OK: Final = b"0"
_SHOWN: Final = 100


class Messages:
    """Cuts the pieces of a body into messages of at most *limit* bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = bytearray()

    @property
    def held(self) -> int:
        """Bytes of the incomplete message."""
        return len(self._held)

    @property
    def is_between(self) -> bool:
        """True if no message is incomplete."""
        return not self._held

    def feed(self, piece: bytes | memoryview) -> Iterator[bytes]:
        """Yields the messages that *piece* completes.

        Raises `Malformed` for one that is too long, or compressed, which nobody asked for.
        """
        held = self._held
        held += piece
        while len(held) >= _PREFIX.size:
            is_compressed, size = _PREFIX.unpack_from(held)
            if is_compressed:
                raise Malformed("a message is compressed")
            if size > self._limit:
                raise Malformed(f"a message is over {self._limit} bytes")
            end = _PREFIX.size + size
            if len(held) < end:
                return
            message = bytes(held[_PREFIX.size : end])
            del held[:end]
            yield message


def request_of(host: str, method: str, message: bytes) -> Request:
    """Returns the request that calls *method* with one *message*; *host* is its authority."""
    headers = of(
        (b"host", host.encode()),
        (b"content-type", CONTENT_TYPE + b"+proto"),
        (b"te", b"trailers"),
        (b"user-agent", b"meshproxy"),
    )
    sent = _PREFIX.pack(0, len(message)) + message
    return Request(b"POST", method.encode(), b"2", headers, WholeBody(sent, len(sent)))


def check_head(response: Response) -> None:
    """Raises `ApiFailure` unless this is the head of a gRPC response."""
    if response.status != 200:
        raise ApiFailure(Reason.STATUS, f"status {response.status}", response.status)
    kind = response.headers.get(b"content-type") or b""
    if not kind.startswith(CONTENT_TYPE):
        raise ApiFailure(Reason.MALFORMED, "the answer is not gRPC")


def check_status(response: Response) -> None:
    """Raises `ApiFailure` unless the status is 0."""
    body = response.body
    trailers = None if isinstance(body, bytes) else body.trailers
    fields = trailers if trailers is not None else response.headers
    status = fields.get(STATUS)
    if status is None:
        raise ApiFailure(Reason.BROKEN, "the answer ended without a status of gRPC")
    if status != _OK:
        number = int(status) if status.isdigit() and len(status) < 4 else None
        said = ascii(unquote((fields.get(MESSAGE) or b"").decode("latin-1"))[:_SHOWN])
        raise ApiFailure(
            Reason.STATUS, f"gRPC status {status.decode('latin-1')[:9]!a}: {said}", number
        )
