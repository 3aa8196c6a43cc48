"""A finished request as it is recorded, with the time of each of its phases."""

from collections.abc import Mapping, Sequence
from time import time
from typing import Any, Final, NamedTuple

from meshproxy.http import l5d
from meshproxy.http.headers import value_of
from meshproxy.http.message import Request
from meshproxy.http.phases import Attempt
from meshproxy.http.trace import UNSAMPLED
from meshproxy.http.trace_id import TraceId
from meshproxy.naming.path import Path

ENDPOINT: Final = "endpoint"
"""Reason code: the endpoint's own response was classified as a failure."""
CUT: Final = "cut"
"""Reason code: the endpoint cut the body of its response short."""
_LEFT_OUT: Final = " [...] "
MAX_TEXT: Final = 512
"""Characters kept of a target, and of the text of an error."""


class RecentRequest(NamedTuple):
    """A request that has ended: plain values, formatted only when somebody looks."""

    ended_at: float
    """Seconds since 1970."""
    router: str
    server: str
    source: str
    """The client's address as `host:port`."""
    method: str
    host: str
    path: str
    """The target without its query, where secrets may be."""
    status: int | None
    """The status that the client got; None if it left before."""
    latency_ms: float
    """Milliseconds from the request's head to the response's."""
    body_ms: float
    """Milliseconds from there to the end of the endpoint's body."""
    reason: str
    """A reason code if it failed: one of the metrics `failures/<reason>`, `endpoint` or `cut`."""
    why: str
    """The text of `l5d-err`."""
    logical: str
    bound: str
    endpoint: str
    egress: str
    """The decision of the egress rules, and the rule that made it."""
    trace: str
    """The id of its trace in hexadecimal."""
    phases: Mapping[str, float]
    """Milliseconds by phase, without the wait for the response and the body; see `phases_ms`."""
    earlier: Sequence[Sequence[Any]]
    """All attempts but the last: bound name, endpoint, result, and when it ended and the next one
    began, in milliseconds since the request's head."""

    @classmethod
    def of_plain(cls, plain: Sequence[Any]) -> "RecentRequest":
        """Returns the request whose values are *plain*, as JSON carried them.

        Raises ValueError if they are not those of a request.
        """
        if len(plain) != len(_KINDS) or not all(
            isinstance(value, kind) for value, kind in zip(plain, _KINDS, strict=True)
        ):
            raise ValueError("this is not a finished request")
        return cls(*plain)

    @property
    def is_failed(self) -> bool:
        """Returns True if the client did not get what it asked for."""
        return bool(self.reason)

    @property
    def endpoints(self) -> list[str]:
        """Returns the endpoint of each attempt."""
        return [*(endpoint for _, endpoint, *_ in self.earlier), self.endpoint]

    @property
    def total_ms(self) -> float:
        """Returns the milliseconds from its head to the end of its response."""
        return self.latency_ms + self.body_ms

    def describe(self) -> dict[str, Any]:
        """Returns it as JSON for operators."""
        return {
            "at": round(self.ended_at, 3),
            "router": self.router,
            "server": self.server,
            "client": self.source,
            "method": self.method,
            "host": self.host,
            "path": self.path,
            "status": self.status,
            "failed": self.is_failed,
            "reason": self.reason or None,
            "why": self.why or None,
            "ms": round(self.total_ms, 3),
            "latency_ms": round(self.latency_ms, 3),
            "attempts": len(self.earlier) + 1,
            "logical": self.logical or None,
            "bound": self.bound or None,
            "endpoint": self.endpoint or None,
            "egress": self.egress or None,
            "trace": self.trace or None,
            "phases": shares(self.phases, self.latency_ms, self.body_ms),
            "lanes": self._lanes(),
        }

    def _lanes(self) -> list[dict[str, Any]]:
        """Returns each attempt with its begin and its end in milliseconds."""
        lanes, began = [], 0.0
        for bound, endpoint, result, ended, resumed in self.earlier:
            lanes.append(_lane(bound, endpoint, result, began, ended))
            began = resumed
        result = self.reason if self.status is None else str(self.status)
        lanes.append(_lane(self.bound, self.endpoint, result, began, self.total_ms))
        return lanes


_NUMBER: Final = (float, int)
_KINDS: Final[tuple[Any, ...]] = (
    *(_NUMBER, *[str] * 6, (int, type(None)), _NUMBER, _NUMBER),
    *([str] * 7),
    *(dict, list),
)


def _lane(bound: str, endpoint: str, result: str, began: float, ended: float) -> dict[str, Any]:
    return {
        "bound": bound or None,
        "endpoint": endpoint or None,
        "result": result,
        "from_ms": round(began, 3),
        "to_ms": round(ended, 3),
    }


class Ended:
    """A request that has ended, as references that are formatted only when somebody looks.

    The request itself is not kept, since its connection and its body would stay with it. *now* is
    the present monotonic second.
    """

    __slots__ = (
        "_body_ms",
        "_bound_id",
        "_dst",
        "_egress",
        "_ended_at",
        "_endpoint",
        "_host",
        "_latency_ms",
        "_method",
        "_now",
        "_phases",
        "_router",
        "_server",
        "_source",
        "_status",
        "_target",
        "_trace",
        "_why",
        "earlier",
        "is_failed",
        "reason",
        "total_ms",
    )

    def __init__(
        self,
        router: str,
        server: str,
        request: Request,
        status: int | None,
        reason: str,
        why: str,
        latency_ms: float,
        body_ms: float,
        now: float,
    ) -> None:
        names, lines = request.headers.names, request.headers.lines
        self._ended_at = time()
        self._router = router
        self._server = server
        self._source = request.peer.remote if request.peer is not None else ""
        self._method = request.method
        self._host = lines[names.index(b"host")] if b"host" in names else b""
        self._target = request.target
        self._status = status
        self._latency_ms = latency_ms
        self._body_ms = body_ms
        self.total_ms = latency_ms + body_ms
        """Milliseconds from its head to the end of its response."""
        self.reason = reason
        self.is_failed = bool(reason)
        """True if the client did not get what it asked for."""
        self._why = why
        self._dst = request.dst
        self._bound_id = request.bound_id
        self._endpoint = request.endpoint
        self._egress = request.egress
        self._trace: TraceId | bytes = b""
        if request.trace is not None and request.trace is not UNSAMPLED:
            self._trace = request.trace.id
        elif l5d.REQID in names:
            self._trace = lines[names.index(l5d.REQID)]
        self._phases = request.phases
        self.earlier = request.earlier
        self._now = now

    def show(self) -> RecentRequest:
        """Returns the same in plain values."""
        started = self._now - self.total_ms / 1000
        trace = self._trace
        return RecentRequest(
            self._ended_at,
            self._router,
            self._server,
            self._source,
            self._method.decode("ascii", "replace"),
            _value(self._host)[:MAX_TEXT],
            self._target.partition(b"?")[0].decode("latin-1")[:MAX_TEXT],
            self._status,
            self._latency_ms,
            self._body_ms,
            self.reason,
            _shortened(self._why),
            _shown(self._dst),
            _shown(self._bound_id),
            self._endpoint,
            self._egress.show() if self._egress is not None else "",
            _value(trace) if isinstance(trace, bytes) else _hexadecimal(trace),
            _milliseconds(self._phases),
            [_plain(one, started) for one in self.earlier],
        )


def shares(phases: Mapping[str, float], latency_ms: float, body_ms: float) -> dict[str, float]:
    """Returns the milliseconds of *phases* and those of the phases `wait` and `body`.

    They add up to *latency_ms* and *body_ms*, the times to the head and from there to the end.
    """
    spent = {name: round(ms, 3) for name, ms in phases.items()}
    wait = max(latency_ms - sum(phases.values()), 0.0)
    return {**spent, "wait": round(wait, 3), "body": round(body_ms, 3)}


def phases_ms(request: Request) -> dict[str, float]:
    """Returns the milliseconds that *request* has waited, by phase, as far as there were any.

    The phases are `bind`, `dns`, `queue`, `connect` and `tls`.
    """
    return _milliseconds(request.phases)


def trace_of(request: Request) -> str:
    """Returns the id of the trace of *request* in hexadecimal; "" if none was begun."""
    if request.trace is not None and request.trace is not UNSAMPLED:
        return _hexadecimal(request.trace.id)
    return (request.headers.get(l5d.REQID) or b"").decode("latin-1")


def _milliseconds(phases: Mapping[str, float] | None) -> dict[str, float]:
    return {name: seconds * 1000 for name, seconds in phases.items()} if phases else {}


def _hexadecimal(trace: TraceId) -> str:
    return f"{trace.high:016x}{trace.trace:016x}" if trace.high else f"{trace.trace:016x}"


def _value(line: bytes) -> str:
    return value_of(line).decode("latin-1")


def _plain(attempt: Attempt, started: float) -> list[Any]:
    ended, resumed = ((at - started) * 1000 for at in (attempt.ended, attempt.resumed))
    return [_shown(attempt.bound_id), attempt.endpoint, attempt.result, ended, resumed]


def _shortened(text: str) -> str:
    """Returns the beginning and the end of *text*: a list of dtab entries may be in between."""
    if len(text) <= MAX_TEXT:
        return text
    kept = (MAX_TEXT - len(_LEFT_OUT)) // 2
    return text[:kept] + _LEFT_OUT + text[-kept:]


def _shown(path: Path | None) -> str:
    return path.show() if path is not None else ""
