"""HTTP to one Kubernetes API server: lists page by page, watches line by line.

Plain HTTP to a `kubectl proxy`, or TLS with the credentials of a pod or a kubeconfig
(linkerd: k8s/.../{Api,ClientConfig}.scala).
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final, Literal, TypeAlias
from urllib.parse import urlencode

import gevent
from gevent.event import AsyncResult
from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
)

from meshproxy.discovery.k8s.access import Access, anonymous, authenticated
from meshproxy.discovery.watching.decoding import Lines, Malformed
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.wording import in_words

MAX_PAGE: Final = 256 * 1024 * 1024
"""Bytes of one page of a list."""
_READ: Final = 65536

Auth: TypeAlias = Literal["inCluster", "kubeconfig"]


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Where the API is and how to get in; *host* and *port* serve only when *auth* is None."""

    host: str = "localhost"
    port: int = 8001
    auth: Auth | None = None
    kubeconfig: str | None = None
    context: str | None = None

    def __str__(self) -> str:
        if self.auth is None:
            return f"{self.host}:{self.port}"
        return " ".join(filter(None, (self.auth, self.kubeconfig, self.context)))


@dataclass(frozen=True, slots=True)
class Timing:
    """How long the API may take, in seconds."""

    connect_s: float = 5.0
    gap_s: float = 90.0
    """Silence inside a list or a watch; the API sends a bookmark each minute."""
    page_s: float = 120.0
    """A whole page of a list."""
    watch_s: float = 300.0
    """After this the API is asked to end a watch, so that a list puts right what was missed."""
    empty_s: float = 5.0
    """Between two lists of a namespace that is empty, and perhaps made up by a client."""


class KubernetesApi:
    """One API server. Its methods block the calling greenlet."""

    def __init__(self, server: ApiServer, timing: Timing) -> None:
        self.server = server
        self.timing = timing
        self._access: Access | None = None

    def page(self, path: str, query: Mapping[str, str]) -> bytes:
        """Return one answer whole. Raises `ApiFailure`."""
        with self._exchange(path, query, self.timing.page_s) as response:
            pieces, size = [], 0
            while data := response.read1(_READ, decode_content=False):
                pieces.append(data)
                size += len(data)
                if size > MAX_PAGE:
                    raise Malformed(f"a page of the list is over {MAX_PAGE} bytes")
            return b"".join(pieces)

    def lines(
        self, path: str, query: Mapping[str, str], limit_s: float
    ) -> Generator[bytes, None, None]:
        """Yield the lines of a watch, for at most *limit_s* seconds. Raises `ApiFailure`."""
        lines = Lines()
        with self._exchange(path, query, limit_s) as response:
            while data := response.read1(_READ, decode_content=False):
                yield from lines.feed(data)

    @contextmanager
    def _exchange(
        self, path: str, query: Mapping[str, str], limit_s: float
    ) -> Iterator[HTTPResponse]:
        """Ask on a connection of its own: killed at any point, nothing is left half used."""
        limit = gevent.Timeout(limit_s)
        held = ExitStack()
        limit.start()
        try:
            access = self._access = self._access or self._log_in()
            connection = access.connection()
            held.callback(connection.close)
            response = self._request(connection, f"{path}?{urlencode(query)}", access.headers())
            held.callback(response.close)
            yield self._checked(response)
        except gevent.Timeout as timeout:
            if timeout is not limit:
                raise
            raise ApiFailure(Reason.STALLED, f"not done within {limit_s:g} s") from None
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise _failure(error) from error
        finally:
            limit.close()
            held.close()

    def _request(
        self, connection: HTTPConnection, target: str, headers: Mapping[str, str]
    ) -> HTTPResponse:
        connection.timeout = self.timing.connect_s
        _open(connection)
        connection.timeout = self.timing.gap_s
        connection.request(
            "GET",
            target,
            headers={"accept": "application/json", "user-agent": "meshproxy", **headers},
            preload_content=False,
        )
        return connection.getresponse()

    def _checked(self, response: HTTPResponse) -> HTTPResponse:
        if response.status != 200:
            if response.status == 401:
                self._access = None
            reason = Reason.GONE if response.status == 410 else Reason.STATUS
            raise ApiFailure(reason, f"status {response.status}", response.status)
        return response

    def _log_in(self) -> Access:
        server = self.server
        if server.auth is None:
            return anonymous(server.host, server.port)
        try:
            return authenticated(server.auth, server.kubeconfig, server.context)
        except (ValueError, OSError) as error:
            raise ApiFailure(Reason.CREDENTIALS, f"no credentials: {error}") from error


def _open(connection: HTTPConnection) -> None:
    """Connect in a greenlet of its own: one that is killed there would leave its socket open."""
    opened: AsyncResult[None] = AsyncResult()

    def connect() -> None:
        try:
            connection.connect()
        except (HTTPError, OSError, ValueError) as error:  # ValueError: certificate and name differ
            opened.set_exception(error)
        else:
            opened.set()

    gevent.spawn(connect)
    try:
        opened.get()
    except BaseException:
        opened.rawlink(lambda _: connection.close())
        raise


def _failure(error: Exception) -> ApiFailure:
    match error:
        case NewConnectionError() | ConnectTimeoutError():
            return ApiFailure(Reason.CONNECT, "no connection")
        case ReadTimeoutError() | TimeoutError():
            return ApiFailure(Reason.STALLED, "silent for too long")
        case Malformed():
            return ApiFailure(Reason.MALFORMED, str(error))
        case _:
            words = error.args[0] if error.args and isinstance(error.args[0], str) else None
            return ApiFailure(Reason.BROKEN, words or in_words(error))
