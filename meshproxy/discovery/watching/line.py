"""HTTP to one discovery API: answers and streams that are bounded in time and size.

Every watch has its own connection, since a request may be held until something changes.
"""

import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from typing import Final

import gevent
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ProtocolError

from meshproxy.discovery.watching.api import MAX_ALL_BYTES, MAX_ASKING, Api, within
from meshproxy.discovery.watching.decoding import Lines, Malformed
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.location import Location
from meshproxy.wording import in_words

_READ: Final = 65536
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    """Names are compared without case."""
    body: bytes


class Line:
    """A watch's connection to *api*, one at a time, for one greenlet.

    *moved*, which must not block, is called when the address of a request under way is no longer
    one of the API's. It must be closed in the end.
    """

    def __init__(self, api: Api, moved: Callable[[], None]) -> None:
        self.request = ""
        """Method and target of the last request."""
        self.requested_at = 0.0
        self.responded_at = 0.0
        """When the last answer arrived, bad ones included; seconds since 1970 as above."""
        self._api = api
        self._connection: HTTPConnection | None = None
        self._held = 0
        self._next_at = 0.0
        self._location = Location(api.where, api.host, moved)

    def is_kept(self) -> bool:
        """Waits until the next request is due. Returns True if it will go to the same server.

        What an answer said to ask next means nothing to another server.
        """
        self._pace()
        return self._kept() is not None

    def close(self) -> None:
        """Closes the connection and stops following the API."""
        self._location.close()
        self._release()
        self.hang_up()

    def hang_up(self) -> None:
        """Closes the connection; the next request makes a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._location.peer = None

    def ask(
        self,
        target: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        held_s: float = 0.0,
        also: tuple[int, ...] = (),
    ) -> Reply:
        """Returns the complete answer, whose status is 2xx or in *also*. Raises `ApiFailure`.

        The API may hold the request for *held_s* before the answer begins.
        """
        with self._asking(is_held=held_s > 0):
            response = self._begin(method, target, body, headers or {}, held_s)
            whole = self._whole(response)
            if response.status // 100 == 2 or response.status in also:
                return Reply(response.status, response.headers, whole)
            raise _status(response.status, whole)

    def lines(self, target: str, limit_s: float | None = None) -> Generator[bytes, None, None]:
        """Yields the lines of a stream as they arrive. Raises `ApiFailure`.

        It ends when the API ends it, at the latest after *limit_s*, by default about `stream_s`.
        """
        with self._asking(is_held=True):
            response = self._begin("GET", target, None, {}, 0.0)
            if response.status != 200:
                raise _status(response.status, self._whole(response))
            most_s = self._api.bounds.stream_s
            yield from self._cut(response, limit_s or random.uniform(0.8, 1.0) * most_s)  # noqa: S311
            self.hang_up()

    @contextmanager
    def _asking(self, *, is_held: bool) -> Iterator[None]:
        """Limits the rate and number of requests, and closes a connection that is half used."""
        self._pace()
        self._next_at = time.monotonic() + self._api.bounds.pace_s
        has_turn = is_held or self._api.asking.acquire(timeout=self._api.bounds.head_s)
        if not has_turn:
            raise ApiFailure(Reason.STALLED, f"{MAX_ASKING} other questions are under way")
        is_over = False
        self._location.is_busy = True
        try:
            yield
            is_over = True
        except Malformed as error:
            raise ApiFailure(Reason.MALFORMED, str(error)) from error
        except (HTTPError, HTTPException, OSError) as error:
            raise ApiFailure(Reason.BROKEN, _why(error)) from error
        finally:
            self._location.is_busy = False
            self.responded_at = time.time()
            if not is_held:
                self._api.asking.release()
            if not is_over:
                self._release()
                self.hang_up()

    def _pace(self) -> None:
        gevent.sleep(max(0.0, self._next_at - time.monotonic()))

    def _begin(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
        held_s: float,
    ) -> HTTPResponse:
        """Sends the request, again if a kept connection proves closed, until the answer begins.

        A request that may be held is not sent again, see `is_kept`.
        """
        self.request, self.requested_at = f"{method} {target}", time.time()
        api = self._api
        while True:
            kept = self._kept()
            connection = kept or self._connect()
            fields = {"host": api.host, "user-agent": "meshproxy", **api.headers(), **headers}
            with within(held_s + api.bounds.head_s, "no answer"):
                try:
                    connection.request(
                        method, target, body=body, headers=fields, preload_content=False
                    )
                    return connection.getresponse()
                except (HTTPError, HTTPException, OSError):
                    if kept is None or held_s:
                        raise
            self.hang_up()

    def _whole(self, response: HTTPResponse) -> bytes:
        most, pieces, size = self._api.bounds.max_bytes, [], 0
        self._release()
        with within(self._api.bounds.body_s, "the answer does not end"):
            while data := response.read1(_READ, decode_content=False):
                pieces.append(data)
                size += len(data)
                if size > most:
                    raise ApiFailure(Reason.TOO_LARGE, f"the answer is over {most} bytes")
                self._hold(len(data))
        return b"".join(pieces)

    def _hold(self, size: int) -> None:
        """Counts bytes of the answer. Raises `ApiFailure` if all answers are too large together."""
        self._held += size
        self._api.held_bytes += size
        if self._api.held_bytes > MAX_ALL_BYTES:
            what = f"all answers together are over {MAX_ALL_BYTES} bytes"
            raise ApiFailure(Reason.TOO_LARGE, what)

    def _release(self) -> None:
        self._api.held_bytes -= self._held
        self._held = 0

    def _cut(self, response: HTTPResponse, limit_s: float) -> Generator[bytes, None, None]:
        bounds = self._api.bounds
        lines = Lines(bounds.max_line_bytes)
        begun = time.monotonic()
        end = begun + limit_s
        while True:
            is_between = lines.is_between
            if is_between:
                limit = min(end, time.monotonic() + bounds.idle_timeout_s)
            else:
                limit = begun + bounds.body_s
            data = _read_before(response, limit)
            if data is None and (not is_between or limit < end):
                what = "silent for too long" if is_between else "a line does not end"
                raise ApiFailure(Reason.STALLED, f"the stream is broken off: {what}")
            if not data:
                break
            if is_between:
                begun = time.monotonic()
            for line in lines.feed(data):
                yield line
                begun = time.monotonic()
        if rest := lines.take_rest():
            yield rest

    def _kept(self) -> HTTPConnection | None:
        """Returns the connection of the previous request, if it still leads to the API."""
        connection = self._connection
        if connection is not None and (not connection.is_connected or self._location.has_moved):
            self.hang_up()
        return self._connection

    def _connect(self) -> HTTPConnection:
        addresses = self._location.addresses(self._api.bounds.connect_s)
        connection, self._location.peer = self._api.connect(addresses)
        self._connection = connection
        return connection


def _read_before(response: HTTPResponse, limit: float) -> bytes | None:
    """Returns the next bytes, none at the end; None if nothing arrived before *limit*."""
    with gevent.Timeout(max(0.001, limit - time.monotonic()), False):
        return response.read1(_READ, decode_content=False)
    return None


def _why(error: Exception) -> str:
    """Returns what went wrong, without anything that the server sent."""
    match error:
        case RemoteDisconnected():
            return "the connection was closed without an answer"
        case IncompleteRead() | ProtocolError():
            return "the answer is cut short"
        case HTTPException():
            return "the answer is not HTTP"
    return f"the connection broke: {in_words(error)}"


def _status(status: int, body: bytes) -> ApiFailure:
    said = ascii(body[:_SHOWN].decode("utf-8", "replace").strip())
    reason = Reason.GONE if status == 410 else Reason.STATUS
    return ApiFailure(reason, f"status {status}: {said}", status)
