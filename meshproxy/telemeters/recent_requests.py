"""io.l5d.recentRequests: a share of the latest requests, kept in memory and shown as a table.

(linkerd: telemetry/recent-requests/.../RecentRequestsTracer.scala)
"""

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from operator import attrgetter
from typing import Any, ClassVar, Final, NamedTuple

from meshproxy.config.bases import TelemeterConfig
from meshproxy.config.model import key
from meshproxy.http.message import Request, Response
from meshproxy.naming.path import Path
from meshproxy.service import Filter, Service
from meshproxy.telemeters.telemeter import Page, Telemeter, TelemeterDeps

PATH: Final = "/requests"

_COLUMNS: Final = (
    "Timestamp",
    "Source",
    "Server",
    "Router",
    "Logical Name",
    "Concrete Name",
    "Destination",
    "Status",
    "Latency (ms)",
    "Egress",
)


class RecentRequest(NamedTuple):
    """What the table shows of one request; formatted only when the page is read.

    A tuple of plain values, since one is made for every recorded request (docs/performance.md).
    """

    ended_at: float
    """Seconds since 1970."""
    source: str
    server: str
    router: str
    logical: Path | None = None
    concrete: Path | None = None
    destination: str = ""
    status: int | None = None
    """What the client got; None if it left before."""
    latency_ms: float | None = None
    egress: str = ""
    """What egress rules decided, and which of them."""

    def plain(self) -> list[Any]:
        """Returns it as a JSON value for another process; see `of_plain`."""
        rest = self._replace(logical=None, concrete=None)
        return [*rest, _shown(self.logical), _shown(self.concrete)]

    @classmethod
    def of_plain(cls, plain: Sequence[Any]) -> "RecentRequest":
        """Returns the request that `plain` returned *plain* for."""
        *fields, logical, concrete = plain
        return cls(*fields)._replace(logical=_path(logical), concrete=_path(concrete))


def _shown(path: Path | None) -> str:
    return path.show() if path else ""


def _path(shown: str) -> Path | None:
    return Path.parse(shown) if shown else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentRequestsConfig(TelemeterConfig):
    """Keeps the latest requests for the admin server's `/requests`."""

    kind: ClassVar[str] = "io.l5d.recentRequests"
    in_workers: ClassVar[bool] = True
    sample_rate: float = key(
        minimum=0, maximum=1, quoted=True, doc="The share of requests to record."
    )
    capacity: int = key(default=10, minimum=1, maximum=10000, doc="How many to keep.")

    def build(self, deps: TelemeterDeps) -> "RecentRequests":
        """Returns the telemeter; it needs nothing of *deps*."""
        del deps
        return RecentRequests(self)


class RecentRequests(Telemeter):
    """A ring of requests, which records a sample of them.

    Args:
        config: sample rate and capacity.
        draw: returns a new number in [0, 1) on each call.
    """

    def __init__(
        self, config: RecentRequestsConfig, draw: Callable[[], float] = random.random
    ) -> None:
        self._sample_rate = config.sample_rate
        self._draw = draw
        self._ring: deque[RecentRequest] = deque(maxlen=config.capacity)

    def record(self, request: RecentRequest) -> None:
        """Keeps *request*, dropping the oldest if there are too many."""
        self._ring.append(request)

    def take(self) -> list[Any]:
        """Returns the recorded requests and forgets them."""
        taken = [one.plain() for one in self._ring]
        self._ring.clear()
        return taken

    def merge(self, kept: Sequence[Any]) -> None:
        """Keeps the latest of *kept*, which another process recorded, and of our own."""
        latest = sorted(
            (*self._ring, *map(RecentRequest.of_plain, kept)), key=attrgetter("ended_at")
        )
        self._ring.clear()
        self._ring.extend(latest)

    def filters(self, router: str, server: str) -> Sequence[Filter[Request, Response]]:
        """Returns a filter that records a sample of the requests to *server* of *router*."""
        draw, sample_rate = self._draw, self._sample_rate

        def record(request: Request, service: Service[Request, Response]) -> Response:
            if draw() >= sample_rate:
                return service(request)
            started = time.monotonic()
            response = service(request)
            self.record(
                RecentRequest(
                    time.time(),
                    request.peer.remote if request.peer else "",
                    server,
                    router,
                    request.dst,
                    request.bound_id,
                    request.endpoint,
                    response.status,
                    (time.monotonic() - started) * 1000,
                    request.egress.show() if request.egress is not None else "",
                )
            )
            return response

        return (record,)

    def pages(self) -> Mapping[str, Callable[[str], Page]]:
        """Returns the table."""
        return {PATH: lambda _: Page("text/html; charset=utf-8", table(self._ring).encode())}


def table(requests: Iterable[RecentRequest]) -> str:
    """Returns the page for *requests*, which are oldest first and are shown newest first."""
    rows = [_row("th", _COLUMNS), *(_row("td", _cells(request)) for request in requests)]
    body = "\n".join((rows[0], *reversed(rows[1:])))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<title>Recent requests</title><link rel="stylesheet" href="files/style.css"></head>\n'
        f"<body><h1>Recent requests</h1>\n<table>\n{body}\n</table></body></html>\n"
    )


def _cells(request: RecentRequest) -> tuple[str, ...]:
    return (
        datetime.fromtimestamp(request.ended_at, UTC).isoformat(sep=" ", timespec="milliseconds"),
        request.source,
        request.server,
        request.router,
        _shown(request.logical),
        _shown(request.concrete),
        request.destination,
        "" if request.status is None else str(request.status),
        "" if request.latency_ms is None else f"{request.latency_ms:.1f}",
        request.egress,
    )


def _row(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
