"""Reads the mesh's own headers of a request, and removes them, at the server's edge.

linkerd: linkerd/protocol/http/.../LinkerdHeaders.scala, .../MaxCallDepthFilter.scala
"""

import time
from collections.abc import Callable
from functools import partial

from meshproxy.errors import LoopDetected, MaxCallDepthExceeded
from meshproxy.http import hop, l5d, via
from meshproxy.http.body import Body
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.service import Service

_READ = l5d.OVERWRITTEN | {
    l5d.DTAB,
    l5d.CTX_DTAB,
    l5d.CTX_DEADLINE,
    l5d.CTX_TRACE,
    l5d.SAMPLE,
    b"via",
}
_UNUSUAL = {version: _READ | edited for version, edited in hop.EDITED.items()}
"""Those and what forwarding edits: one look for all of them, as most requests have none."""


class ReadContext:
    """Moves dtabs and deadlines into the request and removes headers that clients must not set.

    *adopt_trace* reads those of a trace, unless a filter further in does.

    Refuses a request whose Via fields name more than *max_call_depth* proxies, or 31 of our name.
    Deadlines are counted as in finagle: filter/ServerAdmissionControl.scala, DeadlineFilter.scala.
    """

    def __init__(
        self,
        metrics: Tree,
        max_call_depth: int,
        now_ns: Callable[[], int] = time.time_ns,
        adopt_trace: Callable[[Request], None] = lambda _: None,
    ) -> None:
        self._max_call_depth = max_call_depth
        self._adopt_trace = adopt_trace
        self._short_via = min(2 * max_call_depth, via.LOOP_BYTES - 1)
        """Via with at most this many bytes names too few proxies to need counting."""
        self._now_ns = now_ns
        self._dtab_size = metrics.stat("dtab", "size")
        scope = metrics.scope("admission_control", "deadline")
        self._exceeded = scope.counter("exceeded")
        self._expired_ms = scope.stat("expired_ms")
        self._remaining_ms = scope.stat("remaining_ms")
        self._transit_ms = metrics.stat("transit_latency_ms")

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the context in the request.

        Raises BadDtabHeader, MaxCallDepthExceeded and LoopDetected.
        """
        headers = request.headers
        request.is_plain = is_plain = _UNUSUAL[request.version].isdisjoint(headers.names)
        if not is_plain and not _READ.isdisjoint(headers.names):
            if b"via" in headers.names and sum(map(len, headers.get_all(b"via"))) > self._short_via:
                self._check_depth(request)
            request.local_dtab = l5d.take_dtab(headers)
            headers.remove_where(l5d.OVERWRITTEN.__contains__)
            if request.local_dtab:
                self._dtab_size.add(len(request.local_dtab))
                headers.add(l5d.CTX_DTAB, request.local_dtab.show().encode("latin-1"))
            if l5d.CTX_DEADLINE in headers.names:
                self._read_deadline(request)
            self._adopt_trace(request)
        return service(request)

    def _check_depth(self, request: Request) -> None:
        if via.depth(request.headers) > self._max_call_depth:
            raise MaxCallDepthExceeded(
                f"Maximum number of calls ({self._max_call_depth}) has been exceeded. "
                "Please check for proxy loops."
            )
        hops = via.own_hops(request.headers)
        if hops >= via.LOOP_HOPS:
            host = (request.headers.get(b"host") or b"").decode("latin-1")
            to = f" to {request.peer.local}" if request.peer else ""
            raise LoopDetected(
                f"Loop detected: the request for {host} has come through {hops} proxies of this "
                f"kind{to} (Via). Check where each of them sends that name."
            )

    def _read_deadline(self, request: Request) -> None:
        request.ctx_deadline = deadline = l5d.take_deadline(request.headers)
        if deadline is None:
            return
        l5d.put_deadline(request.headers, deadline)
        now_ns = self._now_ns()
        self._transit_ms.add(max(now_ns - deadline.timestamp_ns, 0) // 1_000_000)
        left_ms = (deadline.deadline_ns - now_ns) // 1_000_000
        if left_ms < 0:
            self._exceeded.value += 1
            self._expired_ms.add(-left_ms)
        else:
            self._remaining_ms.add(left_ms)


class ClearContext:
    """Ignores the `l5d-` headers of clients outside the mesh, and sends them none."""

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves without the mesh's headers in either direction."""
        request.headers.remove_where(l5d.is_ours)
        return clear(service(request))


def clear(response: Response) -> Response:
    """Removes the mesh's headers from *response*, from its trailers too, and an error's text."""
    headers = response.headers
    if l5d.ERR in headers.names:
        response.close()
        response.body = b""
        headers.set(b"Content-Length", b"0")
    headers.remove_where(l5d.is_ours)
    body, ending = response.body, response.ending
    if ending is not None and not ending.is_settled and not isinstance(body, bytes):
        ending.then(partial(_clear_trailers, body))  # after `Forward`, which may write into them
    return response


def _clear_trailers(body: Body, broken: bool) -> None:
    if not broken and body.trailers is not None:
        body.trailers.remove_where(l5d.is_ours)
