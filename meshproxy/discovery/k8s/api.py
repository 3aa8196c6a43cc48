"""The requests to one Kubernetes API server: through a `kubectl proxy`, or with credentials.

linkerd: k8s/.../{Api,ClientConfig}.scala.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from urllib3.connection import HTTPConnection

from meshproxy.discovery.k8s.access import Access, anonymous, authenticated
from meshproxy.discovery.watching.api import Api, Bounds, open_connection
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.naming.addr import AddrBound, Address
from meshproxy.var import Var

MAX_PAGE: Final = 256 * 1024 * 1024
"""Bytes of one page of a list."""

Auth: TypeAlias = Literal["inCluster", "kubeconfig"]


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The API's address and credentials; *host* and *port* apply only if *auth* is None."""

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
    """Time limits for the API in seconds."""

    connect_s: float = 5.0
    idle_timeout_s: float = 90.0
    """Idle timeout before a list or within a watch; the API sends a bookmark each minute."""
    page_s: float = 120.0
    """Limit on a whole page of a list."""
    watch_s: float = 300.0
    """Limit on a watch; the list that follows corrects anything that was missed."""
    empty_s: float = 5.0
    """Between two lists of a namespace that is empty, and possibly made up by a client."""


class KubernetesApi(Api):
    """The API of *server*, whose name is resolved again for each connection."""

    def __init__(self, server: ApiServer, timing: Timing) -> None:
        bounds = Bounds(
            pace_s=0.0,
            connect_s=timing.connect_s,
            head_s=min(timing.idle_timeout_s, timing.page_s),
            body_s=timing.page_s,
            stream_s=math.inf,
            idle_timeout_s=timing.idle_timeout_s,
            max_bytes=MAX_PAGE,
        )
        place = Address(server.host, server.port)
        super().__init__(Var(AddrBound(frozenset({place}))), str(server), bounds=bounds)
        self.server = server
        self.timing = timing
        self._access: Access | None = None

    def headers(self) -> Mapping[str, str]:
        """Returns the headers for authentication. Raises `ApiFailure` without credentials."""
        try:
            return {"accept": "application/json", **self._get_access().headers()}
        except ValueError as error:
            raise ApiFailure(Reason.CREDENTIALS, str(error)) from error

    def connect(self, addresses: Collection[Address]) -> tuple[HTTPConnection, Address]:
        """Returns an open connection. Raises `ApiFailure`."""
        access = self._get_access()
        connection = access.connection()
        open_connection(connection, self.bounds.connect_s)
        self.host = access.host
        (place,) = addresses
        return connection, place

    def forget_credentials(self) -> None:
        """Reads the credentials again before the next request, since the API refused them."""
        self._access = None

    def _get_access(self) -> Access:
        if self._access is None:
            self._access = self._log_in()
        return self._access

    def _log_in(self) -> Access:
        server = self.server
        if server.auth is None:
            return anonymous(server.host, server.port)
        try:
            return authenticated(server.auth, server.kubeconfig, server.context)
        except (ValueError, OSError) as error:
            raise ApiFailure(Reason.CREDENTIALS, f"no credentials: {error}") from error
