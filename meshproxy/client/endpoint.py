"""An endpoint of a client: its load, its circuit breaker and its connections.

finagle: the endpoint part of client/StackClient.scala. A Service that balancers choose.
"""

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, Protocol

from meshproxy.client.transport import ConnectionCounts, Connections
from meshproxy.errors import NoTunnel, ProxyError, ServiceTimedOut, TimedOutConnecting
from meshproxy.ewma import Load, PeakEwma
from meshproxy.http.body import Body
from meshproxy.http.classifier import Classifier, ResponseClass
from meshproxy.http.ending import Ending
from meshproxy.http.message import Request, Response
from meshproxy.metrics.instruments import Counter
from meshproxy.naming.addr import Address

_SUCCESS = ResponseClass.SUCCESS
_RETRYABLE = ResponseClass.RETRYABLE


class Breaker(Protocol):
    """The circuit breaker of an endpoint; see `meshproxy.accrual.breaker`."""

    alive: bool
    record_success: Callable[[], None]  # in place of `succeeded` while it is alive

    @property
    def is_open(self) -> bool:
        """True if requests may be sent."""
        ...

    def describe(self) -> tuple[str, float]:
        """Returns the name of the state, and the seconds until a probe is let through."""
        ...

    @property
    def dead_s(self) -> float:
        """Seconds since it was marked dead; 0 if it is alive."""
        ...

    def mark_dead(self, seconds: float) -> None:
        """Marks it dead for *seconds*, as an operator wishes."""
        ...

    def mark_alive(self) -> None:
        """Marks it alive, as an operator wishes."""
        ...

    def sent(self) -> None:
        """Records that an attempt begins."""
        ...

    def succeeded(self) -> None:
        """Records a success."""
        ...

    def failed(self, cause: object = "") -> None:
        """Records a failure, or that no connection could be made; *cause* is for operators."""
        ...

    def ignored(self) -> None:
        """Records an attempt that says nothing about the endpoint."""
        ...


class Endpoint:
    """Sends requests to one address and records their outcome."""

    __slots__ = (
        "_accrual",
        "_attempt_seconds",
        "_connections",
        "_cut_bodies",
        "address",
        "is_closed",
        "load",
        "name",
        "weight",
    )

    def __init__(
        self,
        address: Address,
        connections: Connections,
        load: Load,
        accrual: Breaker,
        cut_bodies: Counter,
        attempt_seconds: float,
    ) -> None:
        self.address = address
        self.name = show(address)
        self.load = load
        self.weight = address.weight
        """Its share of the requests relative to the others; may change."""
        self.is_closed = False
        self._connections = connections
        self._accrual = accrual
        self._cut_bodies = cut_bodies
        self._attempt_seconds = attempt_seconds

    @property
    def is_open(self) -> bool:
        """True if the breaker lets requests through."""
        return (self._accrual.alive or self._accrual.is_open) and not self.is_closed

    @property
    def idle(self) -> int:
        """Number of idle connections."""
        return self._connections.idle

    @property
    def connection_counts(self) -> ConnectionCounts:
        """How many connections there are; not those made with former files of its TLS."""
        return self._connections.connection_counts

    @property
    def out_s(self) -> float:
        """Seconds since it was last known to work; 0 if requests are sent to it."""
        return self._accrual.dead_s

    def mark_dead(self, seconds: float) -> None:
        """Sends nothing for *seconds*, unless no other endpoint is open; then a probe."""
        self._accrual.mark_dead(seconds)

    def mark_alive(self) -> None:
        """Sends requests again."""
        self._accrual.mark_alive()

    def describe(self) -> dict[str, Any]:
        """Returns what operators ask about it, as JSON has it."""
        state, seconds_out = self._accrual.describe()
        return {
            "address": self.name,
            "state": "closed" if self.is_closed else state,
            "seconds_out": round(seconds_out, 1),
            "out_for_s": round(self.out_s, 1),
            "weight": self.weight,
            "pending": self.load.pending,
            "ewma_ms": round(self.load.cost / 1e6, 3) if isinstance(self.load, PeakEwma) else None,
            **self.connection_counts.describe(),
        }

    def serve(self, request: Request) -> Response:
        """Sends *request*, more than once only as its protocol allows.

        The outcome is reported to the load and the breaker; a body that is still arriving counts as
        load until it ends. Raises ProxyError.
        """
        now = monotonic()
        deadline = now + self._attempt_seconds
        if deadline > request.deadline:  # noqa: PLR1730 - cheaper than a call of min, on every request
            deadline = request.deadline
        if deadline <= now:
            raise ServiceTimedOut("the time for a response ended before an attempt")
        load = self.load
        accrual = self._accrual
        if not accrual.alive:
            accrual.sent()
        load.begin()
        request.endpoint = self.name
        try:
            if request.method == b"CONNECT":
                response = self._tunnel(request, deadline)
            else:
                exchange = self._connections.exchange
                response = exchange(request, deadline)
        except ProxyError as error:
            self._failed(error, now)
            raise
        except BaseException:
            load.finish()
            self._accrual.ignored()
            raise
        classifier = request.classifier
        if classifier is not None and response.status >= classifier.judges_from:
            classify(request, response, classifier)
        ending = response.ending
        load.head(now, response.arrived, response.failed, ending is None)
        if ending is not None:
            self._await(ending, response)
        elif accrual.alive and not response.failed:
            record_success = accrual.record_success
            record_success()
        else:
            self._settle(response)
        return response

    def _tunnel(self, request: Request, deadline: float) -> Response:
        """Connects for a CONNECT and counts the time as latency. Raises ProxyError."""
        if request.bound_id is not None and request.bound_id[:1] == (b"%",):
            raise NoTunnel("a tunnel cannot be made through another proxy")
        return self._connections.tunnel(request, deadline)

    @property
    def is_current(self) -> bool:
        """False if files of its TLS have changed since its connections were made."""
        return self._connections.is_current

    def use(self, connections: Connections) -> None:
        """Sends further requests on *connections*; those before end with what runs on them."""
        before, self._connections = self._connections, connections
        before.close()

    def close(self) -> None:
        """Accepts no new requests; running ones finish."""
        self.is_closed = True
        self._connections.close()

    def close_idle(self) -> int:
        """Closes idle connections and returns their number."""
        return self._connections.close_idle()

    def _await(self, ending: Ending, response: Response) -> None:
        """Settles *response* at the end of its body, or at once if the body cannot change anything.

        For a probe the breaker does not wait for the end, since a stream may have none; it hears
        of the end too if that makes the response a failure.
        """
        is_open = self._accrual.alive and not ending.is_settled
        was_failed = response.failed
        if not is_open:
            self._settle(response)

        def ended(broken: bool) -> None:
            self.load.finish()
            if broken:
                self._cut_bodies.value += 1
                response.failed = True
            if broken:
                self._accrual.failed("the body was cut")
            elif is_open or response.failed is not was_failed:
                self._settle(response)

        ending.then(ended)

    def _settle(self, response: Response) -> None:
        """Reports to the breaker how *response* turned out."""
        if response.failed:
            self._accrual.failed(_cause(response))
        else:
            self._accrual.succeeded()

    def _failed(self, error: ProxyError, began: float) -> None:
        if error.blames_endpoint:
            self._accrual.failed(error)
        else:
            self._accrual.ignored()
        if error.blames_endpoint or isinstance(error, TimedOutConnecting):
            self.load.head(began, monotonic(), failed=True)
        self.load.finish()


def classify(request: Request, response: Response, classifier: Classifier) -> None:
    """Stores the class of *response* by its head, or by its end, which may still have to come.

    A body that the client gives up has no end, and says nothing.
    """
    body = request.body
    result = classifier.response(
        request.method,
        response.status,
        response.headers,
        body is None or body.is_replayable,
    )
    if result is None:
        ending, back = response.ending, response.body
        if ending is not None:
            if ending.is_settled:
                _judge(response, back, classifier, broken=False)
            else:
                ending.decides = True
                ending.then(partial(_judge, response, back, classifier))
            return
        result = classifier.end(None if isinstance(back, bytes) else back.trailers)
    response.failed = result is not _SUCCESS
    response.retryable = result is _RETRYABLE


def _judge(response: Response, body: bytes | Body, by: Classifier, broken: bool) -> None:
    if not broken and getattr(body, "is_complete", True):
        result = by.end(None if isinstance(body, bytes) else body.trailers)
        response.failed = result is not _SUCCESS
        response.retryable = result is _RETRYABLE


def _cause(response: Response) -> str:
    """Returns what made *response* a failure, for people to read."""
    if response.status >= 500:
        return f"status {response.status}"
    return f"status {response.status}, a gRPC status that is a failure, or none"


def show(address: Address) -> str:
    """Returns `host:port`, with an IPv6 host in brackets."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"
