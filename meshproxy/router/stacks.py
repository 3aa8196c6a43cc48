"""The order of filters, outermost first: four lists, with the reason for each position.

linkerd: router/core/.../Router.scala, linkerd/protocol/http/.../HttpConfig.scala.
"""

from collections.abc import Callable

from meshproxy.budget import RetryBudget
from meshproxy.filters.access_log import AccessLog
from meshproxy.filters.admission import ConcurrencyLimit
from meshproxy.filters.client_cert import ForwardClientCert
from meshproxy.filters.client_stats import ClientStats
from meshproxy.filters.compression import Compress
from meshproxy.filters.context import ClearContext, ReadContext
from meshproxy.filters.error_responder import ErrorResponder
from meshproxy.filters.forwarded import AddForwarded, AddTimestamp, AddXForwardedFor
from meshproxy.filters.forwarding import DstClient, Forward
from meshproxy.filters.grpc_web import GrpcWeb
from meshproxy.filters.host import DropPort
from meshproxy.filters.injected_headers import InjectHeaders
from meshproxy.filters.retries import Requeues, Retries
from meshproxy.filters.stats import PathStats, ServerStats
from meshproxy.filters.stream_errors import StreamErrors
from meshproxy.filters.stream_retries import StreamRetries
from meshproxy.filters.timeouts import AttemptDeadline, EnforceDeadline, TotalTimeout
from meshproxy.filters.trace import AttemptSpan, ServerSpan
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.naming.bound import Bound
from meshproxy.naming.path import Path
from meshproxy.recent.requests import RecentRequests
from meshproxy.router.path_policy import PathPolicy
from meshproxy.router.policy import ClientPolicy, new_budget
from meshproxy.service import Filter

HttpFilter = Filter[Request, Response]
_FOREVER = float("inf")
attempt_span = AttemptSpan()
"""That of all clients: it has new traces at hand, which any of them may use."""


def server_stack(
    limits: Limits,
    max_call_depth: int,
    metrics: Tree,
    trace: ServerSpan,
    *,
    clear_context: bool = False,
    max_concurrent: int | None = None,
    timeout_seconds: float = _FOREVER,
    enforce_deadlines: bool = False,
    forwarded: AddForwarded | None = None,
    x_forwarded_for: bool = False,
    timestamp_header: str | None = None,
    compression_level: int = 0,
    access_log: AccessLog | None = None,
    recent: RecentRequests | None = None,
    router: str = "",
    server: str = "",
    grpc_status: bool | None = None,
    grpc_web: bool = False,
) -> list[HttpFilter]:
    """Returns the filters around the router: what applies to every request of one server.

    *grpc_status* is None for HTTP/1; for HTTP/2 see `filters.stream_errors.StreamErrors`.
    """
    responder = ErrorResponder(limits, metrics)
    if grpc_status is not None:
        responder = StreamErrors(limits, metrics, grpc_status=grpc_status)
    return [
        *([access_log] if access_log is not None else []),  # logs what is really sent
        *([Compress(compression_level)] if compression_level else []),  # errors too
        *([GrpcWeb()] if grpc_web else []),  # below here a call is one of gRPC
        *([ClearContext()] if clear_context else []),  # outside all filters that add headers
        # what the client sees, errors included
        ServerStats(
            metrics,
            recent or RecentRequests(),
            router,
            server,
            streams=grpc_status is not None,
        ),
        responder,  # below here errors are raised, above they are responses
        *([ConcurrencyLimit(max_concurrent, metrics)] if max_concurrent is not None else []),
        *([forwarded] if forwarded is not None else []),
        *([AddXForwardedFor()] if x_forwarded_for else []),
        *([AddTimestamp(timestamp_header.encode())] if timestamp_header is not None else []),
        # a dtab header that does not parse ends here
        _read_context(metrics, max_call_depth, trace),
        *([EnforceDeadline(metrics)] if enforce_deadlines else []),
        *([trace] if trace.is_needed else []),
        *([TotalTimeout(timeout_seconds)] if timeout_seconds < _FOREVER else []),
    ]


def _read_context(metrics: Tree, max_call_depth: int, trace: ServerSpan) -> ReadContext:
    if trace.is_needed:
        return ReadContext(metrics, max_call_depth)
    return ReadContext(metrics, max_call_depth, adopt_trace=trace.adopt)


def path_stack(name: Path, policy: PathPolicy, metrics: Tree) -> list[HttpFilter]:
    """Returns the filters around the bound tree of one logical name: retries are inside them."""
    return [
        Forward(name),  # once for all attempts; on responses of endpoints, so not on our errors
        PathStats(metrics, streams=policy.held_response is not None),
        *([TotalTimeout(policy.total_seconds)] if policy.total_seconds < _FOREVER else []),
        *_retries(policy, metrics),
    ]


def _retries(policy: PathPolicy, metrics: Tree) -> list[HttpFilter]:
    held = policy.held_response
    retries = Retries(
        policy.classifier,
        new_budget(policy.retry_budget),
        policy.backoff,
        policy.max_retries,
        metrics,
        streams=held is not None,
    )
    if held is None:
        return [retries]
    streams = StreamRetries(retries, held.seconds, held.bytes, metrics)
    return [retries, streams] if streams.is_needed else [retries]


def bound_stack(bound: Bound) -> list[HttpFilter]:
    """Returns the filters around one client for one residual: may differ for each attempt."""
    return [DstClient(bound.id, bound.residual)]


def client_stack(
    policy: ClientPolicy,
    budget: RetryBudget,
    endpoints: Callable[[], int],
    metrics: Tree,
    stats: ClientStats,
    is_open: Callable[[], bool],
) -> list[HttpFilter]:
    """Returns the filters around the balancer of one bound id."""
    attempt = policy.attempt_seconds or _FOREVER
    secrets = policy.inject_headers
    return [
        *([ForwardClientCert()] if policy.forward_client_cert else []),
        *([DropPort(443 if policy.tls else 80)] if policy.drop_default_port else []),
        # outside the statistics: each attempt is counted
        Requeues(budget, endpoints, policy.max_requeues, metrics, is_open),
        attempt_span,  # each attempt is a span of its own, passed to its endpoint
        stats,
        *([AttemptDeadline(attempt)] if attempt < _FOREVER else []),  # anew for each attempt
        # inside all that looks at headers, and that could show them
        *([InjectHeaders(secrets, is_tls=policy.tls is not None)] if secrets else []),
    ]
