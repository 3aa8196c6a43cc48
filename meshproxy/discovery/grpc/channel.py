"""Calls to a discovery API over one connection to one of its addresses."""

import random
import time
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TypeAlias

import gevent
from gevent.lock import BoundedSemaphore

from meshproxy.discovery.grpc.messages import Messages, check_head, check_status, request_of
from meshproxy.discovery.watching.api import (
    MAX_ALL_BYTES,
    MAX_HELD,
    MAX_TRIES,
    Bounds,
    place_among,
)
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.discovery.watching.failure import ApiFailure, Complaints, Reason
from meshproxy.discovery.watching.location import Location
from meshproxy.errors import Phase, ProxyError, ServiceTimedOut, TlsFailed
from meshproxy.h2.grpc import status_of_reset
from meshproxy.h2.reset import StreamReset
from meshproxy.http.body import Body
from meshproxy.http.message import Request, Response
from meshproxy.http.origin import Origin
from meshproxy.naming.addr import Addr, Address
from meshproxy.var import Var

Dial: TypeAlias = Callable[[Address], Origin]
"""Returns what reaches an address; nothing is connected yet."""


class GrpcChannel:
    """A server of gRPC at the addresses of *where*; *dial* reaches one of them at a time."""

    def __init__(
        self, where: Var[Addr], host: str, dial: Dial, bounds: Bounds | None = None
    ) -> None:
        self.where = where
        self.host = host
        """The authority of every request, and its name in logs."""
        self.bounds = bounds or Bounds()
        self.complaints = Complaints(host)
        self._dial = dial
        self._streams = BoundedSemaphore(MAX_HELD)
        self._origin: tuple[Address, Origin] | None = None
        self._users = 0
        self.held_bytes = 0
        """Bytes of the latest messages of all calls."""

    def join(self) -> None:
        """Keeps the connection open until the same number of calls of `leave`."""
        self._users += 1

    def leave(self) -> None:
        """Closes the connection after the last `leave`."""
        self._users -= 1
        if not self._users and self._origin is not None:
            self._origin[1].close()
            self._origin = None

    def place(self) -> AbstractContextManager[bool]:
        """Takes one of the `MAX_HELD` places for streams, if there is one."""
        return place_among(self._streams)

    def send(self, request: Request, deadline: float, location: Location) -> Response:
        """Sends *request* to one of the addresses, the same as before while it is one.

        Another one is tried if there is no connection. Raises `ApiFailure`.
        """
        addresses = location.addresses(self.bounds.connect_s)
        failure = ApiFailure(Reason.CONNECT, f"{self.host} has no address")
        for address in self._order(addresses):
            origin = self._reach(address)
            location.peer = address
            try:
                return origin.exchange(request, deadline)
            except ProxyError as error:
                failure = _failure(error, address)
                if error.phase is not Phase.CONNECT:
                    break
        raise failure

    def _order(self, addresses: Collection[Address]) -> list[Address]:
        """Returns the addresses to try, in order."""
        present = self._origin and self._origin[0]
        others = [each for each in addresses if each != present]
        found = random.sample(others, min(len(others), MAX_TRIES))
        return [present, *found[1:]] if present is not None and present in addresses else found

    def _reach(self, address: Address) -> Origin:
        if self._origin is not None:
            if self._origin[0] == address:
                return self._origin[1]
            self._origin[1].close()
        origin = self._dial(address)
        self._origin = address, origin
        return origin


class Calls:
    """The calls of one watch to *channel*, one at a time, for one greenlet; see `Line`."""

    def __init__(self, channel: GrpcChannel, moved: Callable[[], None]) -> None:
        self.request = ""
        """The last method called, with its subject."""
        self.requested_at = 0.0
        self.responded_at = 0.0
        """When the last message arrived; seconds since 1970 as above."""
        self._channel = channel
        self._location = Location(channel.where, channel.host, moved)
        self._next_at = 0.0
        self._held = 0
        """Bytes of the latest message, and of one that is arriving."""
        channel.join()

    def close(self) -> None:
        """Stops following the server. Called once."""
        self._hold(0)
        self._location.close()
        self._channel.leave()

    def ask(self, method: str, message: bytes) -> bytes:
        """Returns the one answer. Raises `ApiFailure`."""
        found: bytes | None = None
        with closing(self._call(method, message, self._channel.bounds.head_s)) as answers:
            for answer in answers:
                if found is not None:
                    raise ApiFailure(Reason.MALFORMED, "more than one message")
                found = answer
        if found is None:
            raise ApiFailure(Reason.MALFORMED, "no message")
        return found

    def stream(self, method: str, message: bytes) -> Generator[bytes, None, None]:
        """Yields the answers as they arrive. Raises `ApiFailure`.

        It ends when the server ends it, at the latest after about `Bounds.stream_s`.
        """
        limit_s = random.uniform(0.8, 1.0) * self._channel.bounds.stream_s  # noqa: S311
        yield from self._call(method, message, limit_s)

    def _call(self, method: str, message: bytes, limit_s: float) -> Generator[bytes, None, None]:
        gevent.sleep(max(0.0, self._next_at - time.monotonic()))
        begun = time.monotonic()
        self._next_at = begun + self._channel.bounds.pace_s
        self.request, self.requested_at = method, time.time()
        with self._asking():
            self._hold(0)
            request = request_of(self._channel.host, method, message)
            response = self._channel.send(request, begun + limit_s, self._location)
            try:
                check_head(response)
                if (yield from self._messages(response.body, begun + limit_s)):
                    check_status(response)
            finally:
                response.close()

    def _hold(self, size: int) -> None:
        """Counts the bytes held. Raises `ApiFailure` if they are too many for all together."""
        self._channel.held_bytes += size - self._held
        self._held = size
        if size and self._channel.held_bytes > MAX_ALL_BYTES:
            what = f"all answers together are over {MAX_ALL_BYTES} bytes"
            raise ApiFailure(Reason.TOO_LARGE, what)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self._location.is_busy = True
        try:
            yield
        except Malformed as error:
            raise ApiFailure(Reason.MALFORMED, str(error)) from error
        except ProxyError as error:
            raise _failure(error, self._location.peer) from error
        finally:
            self._location.is_busy = False

    def _messages(self, body: Body | bytes, end: float) -> Generator[bytes, None, bool]:
        """Yields messages; returns False if the time was over before the body was."""
        bounds = self._channel.bounds
        messages = Messages(bounds.max_bytes)
        begun = time.monotonic()
        is_whole = isinstance(body, bytes)
        while True:
            limit = end if messages.is_between else begun + bounds.body_s
            piece = body if isinstance(body, bytes) else _piece_before(body, limit)
            if piece is None:
                if messages.is_between:
                    return False
                raise ApiFailure(Reason.STALLED, "a message does not end")
            if messages.is_between:
                begun = time.monotonic()
            self._hold(self._held + len(piece))
            for message in messages.feed(piece):
                self._hold(len(message) + messages.held)
                self.responded_at = time.time()
                yield message
                begun = time.monotonic()
            if is_whole or not piece:
                break
        if not messages.is_between:
            raise Malformed("a message is cut short")
        return True


def _piece_before(body: Body, limit: float) -> bytes | memoryview | None:
    """Returns the next piece, empty at the end; None if nothing arrived before *limit*."""
    with gevent.Timeout(max(0.001, limit - time.monotonic()), False):
        return body.read()
    return None


def _failure(error: ProxyError, address: Address | None) -> ApiFailure:
    where = f"{address.host}:{address.port}" if address is not None else "the server"
    match error:
        case StreamReset():
            status = status_of_reset(error.code)
            return ApiFailure(Reason.STATUS, f"{where}: gRPC status {status}: {error}", status)
        case TlsFailed():
            reason = Reason.TLS
        case ServiceTimedOut():
            reason = Reason.STALLED
        case _ if error.phase is Phase.CONNECT:
            reason = Reason.CONNECT
        case _:
            reason = Reason.BROKEN
    return ApiFailure(reason, f"{where}: {error}")
