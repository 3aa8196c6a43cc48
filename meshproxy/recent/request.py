"""A finished request as it is recorded, with the time of each of its phases."""

from collections.abc import Mapping, Sequence
from time import time
from typing import Any, Final, NamedTuple

from meshproxy.http import l5d
from meshproxy.http.message import Request
from meshproxy.http.phases import Attempt
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


def recent(
    router: str,
    server: str,
    request: Request,
    status: int | None,
    reason: str,
    why: str,
    latency_ms: float,
    body_ms: float,
    now: float,
) -> RecentRequest:
    """Returns what is kept of *request*, which ended at monotonic second *now*."""
    started = now - (latency_ms + body_ms) / 1000
    return RecentRequest(
        time(),
        router,
        server,
        request.peer.remote if request.peer is not None else "",
        request.method.decode("ascii", "replace"),
        (request.headers.get(b"host") or b"").decode("latin-1")[:MAX_TEXT],
        request.target.partition(b"?")[0].decode("latin-1")[:MAX_TEXT],
        status,
        latency_ms,
        body_ms,
        reason,
        _shortened(why),
        _shown(request.dst),
        _shown(request.bound_id),
        request.endpoint,
        request.egress.show() if request.egress is not None else "",
        trace_of(request),
        phases_ms(request),
        [_plain(one, started) for one in request.earlier],
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
    if request.phases is None:
        return {}
    return {name: seconds * 1000 for name, seconds in request.phases.items()}


def trace_of(request: Request) -> str:
    """Returns the id of the trace of *request* in hexadecimal; "" if none was begun."""
    if request.trace is not None:
        found = request.trace.id
        return f"{found.high:016x}{found.trace:016x}" if found.high else f"{found.trace:016x}"
    return (request.headers.get(l5d.REQID) or b"").decode("latin-1")


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
