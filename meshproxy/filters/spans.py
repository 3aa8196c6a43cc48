"""The spans of a request: what they say, when they end, and the phases below them.

Tags and annotations are Linkerd's (finagle: http/filter/..., tracing/Annotation.scala).
"""

import time
from collections.abc import Callable, Mapping

from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from meshproxy.http.phases import BIND
from meshproxy.http.trace import Kind, Span, Trace
from meshproxy.http.trace_id import TraceId

_DESCRIBED = {
    prefix: tuple(
        (name, prefix + name.decode("ascii"))
        for name in (b"content-length", b"content-type", b"transfer-encoding")
    )
    for prefix in ("http.req.", "http.rsp.")
}
"""The fields that spans have, with their tags."""


def end_attempt(span: Span, trace: Trace) -> None:
    """Ends the span of an attempt."""
    end(span)
    trace.ended.append(span)


def bind_phase(trace: Trace, server: Span, request: Request, bits: Callable[[int], int]) -> None:
    """Adds the time that *request* waited for its name to be bound, if it had to."""
    seconds = (request.phases or {}).get(BIND)
    if seconds is not None:
        phase(trace, server, BIND, server.started_us, seconds, bits)


def attempt_phases(
    trace: Trace,
    attempt: Span,
    before: Mapping[str, float],
    request: Request,
    bits: Callable[[int], int],
) -> int:
    """Adds what an attempt waited for, one after the other; returns the present microsecond.

    *before* are the times of *request* before the attempt; what is left of it is `wait`.
    """
    begins = attempt.started_us
    for name, total in (request.phases or {}).items():
        seconds = total - before.get(name, 0.0)
        if seconds > 0 and name != BIND:
            begins += phase(trace, attempt, name, begins, seconds, bits).duration_us
    now_us = time.time_ns() // 1000
    phase(trace, attempt, "wait", begins, (now_us - begins) / 1e6, bits)
    return now_us


def phase(
    trace: Trace,
    parent: Span,
    name: str,
    started_us: int,
    seconds: float,
    bits: Callable[[int], int],
) -> Span:
    """Adds a span of *seconds* below *parent* to *trace*."""
    span = Span(parent.id.child(bits(64)), "INTERNAL", name, parent.service, started_us)
    span.duration_us = max(round(seconds * 1e6), 1)
    trace.ended.append(span)
    return span


def tell_name(span: Span, request: Request) -> None:
    """Adds the logical name of *request*, if it got one."""
    if request.dst is not None:
        span.tags["service"] = request.dst.show()


def begin(trace: TraceId, kind: Kind, request: Request, service: str) -> Span:
    """Returns a span of *request*, by the router labelled *service*, that begins now."""
    name = request.method.decode("ascii")
    return Span(trace, kind, name, service, time.time_ns() // 1000)


def describe_request(span: Span, request: Request) -> None:
    """Adds what *request* says, before filters change its headers."""
    tags = span.tags
    tags["http.uri"] = request.target.decode("latin-1")
    tags["http.req.method"] = request.method.decode("ascii")
    tags["http.req.version"] = "HTTP/" + request.version.decode("ascii")
    host = request.headers.get(b"host")
    if host is not None:
        tags["http.req.host"] = host.decode("latin-1")
    _describe(span, "http.req.", request.headers)


def _describe(span: Span, prefix: str, headers: Headers) -> None:
    names = headers.names
    for name, tag in _DESCRIBED[prefix]:
        if name in names:
            span.tags[tag] = (headers.get(name) or b"").decode("latin-1")


def await_end(span: Span, response: Response, finish: Callable[[], None]) -> None:
    """Calls *finish* with what *response* says in *span*, at the end of a body that arrives."""
    tags = span.tags
    tags["http.rsp.status"] = str(response.status)
    tags["http.rsp.version"] = "HTTP/" + response.version.decode("ascii")
    _describe(span, "http.rsp.", response.headers)
    ending = response.ending
    if ending is None or ending.is_settled:
        _judge(span, response)
        finish()
        return
    span.events.append((time.time_ns() // 1000, "response head"))

    def ended(broken: bool) -> None:
        _judge(span, response)
        if broken:
            tags["error"] = "cut"
        finish()

    ending.then(ended)


def _judge(span: Span, response: Response) -> None:
    if not response.failed:
        span.tags["l5d.success"] = "1.0"
    elif response.retryable:
        span.tags["l5d.retryable"] = "0.0"
    else:
        span.tags["l5d.failure"] = "0.0"
    if response.failed or response.status >= 500:
        span.tags["error"] = str(response.status)


def end(span: Span) -> None:
    """Sets the duration of *span*, at least a microsecond."""
    span.duration_us = max(time.time_ns() // 1000 - span.started_us, 1)
