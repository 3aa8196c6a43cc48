"""The order of filters, by what can be seen of it from outside."""

import math
from collections.abc import Sequence

import pytest

from meshproxy.classifiers.grpc import GrpcDefaultConfig
from meshproxy.classifiers.status import H2RetryableAll5XXConfig, RetryableAll5XXConfig
from meshproxy.client.tls import TlsSettings
from meshproxy.config.bases import ClassifierConfig
from meshproxy.config.retries import RetryBudgetConfig
from meshproxy.errors import ConnectFailed, NoHosts, ServiceTimedOut
from meshproxy.filters.access_log import AccessLog
from meshproxy.filters.access_log_lines import combined
from meshproxy.filters.admission import ConcurrencyLimit
from meshproxy.filters.client_cert import ForwardClientCert
from meshproxy.filters.client_stats import ClientStats
from meshproxy.filters.compression import Compress
from meshproxy.filters.forwarded import AddForwarded, AddTimestamp
from meshproxy.filters.host import DropPort
from meshproxy.filters.stream_retries import StreamRetries
from meshproxy.filters.timeouts import AttemptDeadline, EnforceDeadline, TotalTimeout
from meshproxy.filters.trace import ServerSpan
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.http.propagation import B3, L5d
from meshproxy.http.trace_id import TraceId
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG
from meshproxy.naming.bound import Bound
from meshproxy.naming.path import Path
from meshproxy.router.path_policy import HeldResponse, PathPolicy
from meshproxy.router.policy import ClientPolicy, new_budget
from meshproxy.router.stacks import (
    HttpFilter,
    bound_stack,
    client_stack,
    path_stack,
    server_stack,
)
from meshproxy.service import Filter, stack
from meshproxy.var import Var
from tests.kit.messages import Replies, request, response

WEB = Path.parse("/svc/web")
STREAM_RETRIES = (
    "request_stream_too_long",
    "response_stream_too_long",
    "classification_timeout",
)


def serve(
    filters: Sequence[Filter[Request, Response]], service: Replies, asked: Request | None = None
) -> Response:
    return stack(filters, service)(asked or request())


def of_client(policy: ClientPolicy, metrics: Tree | None = None) -> list[HttpFilter]:
    metrics = metrics or Tree()
    budget = new_budget(RetryBudgetConfig())
    return client_stack(policy, budget, lambda: 3, metrics, ClientStats(metrics), bool)


def kinds(filters: Sequence[object]) -> set[type]:
    return {type(one) for one in filters}


# --- around the router ---


def test_what_is_off_is_not_there() -> None:
    plain = server_stack(Limits(), 1000, Tree(), ServerSpan(L5d()))
    full = server_stack(
        Limits(),
        1000,
        Tree(),
        ServerSpan(L5d()),
        max_concurrent=1,
        timeout_seconds=1,
        enforce_deadlines=True,
        forwarded=AddForwarded(lambda _, __: "a", lambda _, __: "b"),
        timestamp_header="x-at",
        compression_level=-1,
        access_log=AccessLog(print, combined),
    )
    extra = {ConcurrencyLimit, TotalTimeout, AddForwarded, AddTimestamp, Compress, AccessLog}
    extra.add(EnforceDeadline)
    assert kinds(full) - kinds(plain) == extra
    assert len(full) == len(plain) + len(extra)


def test_a_trace_that_nobody_records_needs_no_filter() -> None:
    plain = server_stack(Limits(), 1000, Tree(), ServerSpan(L5d()))
    assert ServerSpan not in kinds(plain)
    assert ServerSpan in kinds(server_stack(Limits(), 1000, Tree(), ServerSpan(B3())))
    asked = request((b"l5d-ctx-trace", TraceId(1, 2, 3).encode()), (b"l5d-sample", b"1"))
    serve(plain, Replies(response()), asked)
    assert asked.trace is not None
    assert (asked.trace.id.parent, asked.trace.id.trace, asked.trace.id.is_sampled) == (1, 3, True)
    assert b"l5d-sample" not in asked.headers


@pytest.mark.parametrize(
    ("policy", "extra"),
    [
        (ClientPolicy(forward_client_cert=True), {ForwardClientCert}),
        (ClientPolicy(attempt_seconds=1), {AttemptDeadline}),
        (ClientPolicy(attempt_seconds=math.inf), set()),
        (ClientPolicy(drop_default_port=True), {DropPort}),
    ],
)
def test_a_client_has_the_filters_that_it_wants(policy: ClientPolicy, extra: set[type]) -> None:
    assert kinds(of_client(policy)) - kinds(of_client(ClientPolicy())) == extra


@pytest.mark.parametrize(
    ("classifier", "is_there"), [(H2RetryableAll5XXConfig(), False), (GrpcDefaultConfig(), True)]
)
def test_a_response_is_held_back_only_if_its_end_can_ask_for_a_retry(
    classifier: ClassifierConfig, *, is_there: bool
) -> None:
    metrics = Tree()
    policy = PathPolicy(classifier=classifier.build(), held_response=HeldResponse())
    assert (StreamRetries in kinds(path_stack(WEB, policy, metrics))) is is_there
    counted = {"/".join(scope) for scope, _ in metrics.walk()}
    assert {f"retries/{name}" for name in STREAM_RETRIES} <= counted


def test_errors_of_the_server_are_counted_as_its_clients_see_them() -> None:
    metrics = Tree()
    filters = server_stack(Limits(), 1000, metrics, ServerSpan(L5d()))
    assert serve(filters, Replies(NoHosts("x"))).status == 502
    assert serve(filters, Replies(response()), request((b"l5d-dtab", b"no table"))).status == 400
    statuses = [metrics.counter("status", status).value for status in ("502", "400", "error")]
    assert statuses == [1, 1, 0]
    assert metrics.counter("failures").value == 1


def test_a_proxy_loop_ends() -> None:
    service = Replies(response())
    asked = request((b"Via", b"1.1 a, 1.1 b"))
    assert serve(server_stack(Limits(), 1, Tree(), ServerSpan(L5d())), service, asked).status == 400
    assert service.requests == []


def test_a_client_outside_the_mesh_is_neither_believed_nor_told() -> None:
    filters = server_stack(Limits(), 1000, Tree(), ServerSpan(L5d()), clear_context=True)
    asked = request((b"l5d-dtab", b"no table"), (b"l5d-sample", b"1"))
    service = Replies(NoHosts("a secret"))
    answer = serve(filters, service, asked)
    assert (answer.status, answer.body, asked.local_dtab) == (502, b"", None)
    assert not any(name.startswith(b"l5d-") for name in answer.headers.names)
    assert not any(line.startswith(b"l5d-") for line in service.requests[0])
    assert b"l5d-sample" not in asked.headers


def test_a_client_outside_the_mesh_sets_no_deadline() -> None:
    filters = server_stack(
        Limits(), 9, Tree(), ServerSpan(L5d()), clear_context=True, enforce_deadlines=True
    )
    service = Replies(response())
    assert serve(filters, service, request((b"l5d-ctx-deadline", b"1 2"))).status == 200
    assert not any(line.startswith(b"l5d-ctx-deadline") for line in service.requests[0])


def test_an_expired_request_is_answered_as_an_error() -> None:
    filters = server_stack(Limits(), 9, Tree(), ServerSpan(L5d()), enforce_deadlines=True)
    service = Replies(response())
    answer = serve(filters, service, request((b"l5d-ctx-deadline", b"1 2")))
    assert (answer.status, service.requests) == (503, [])
    assert answer.headers.get(b"l5d-retryable") is None


def test_the_limit_on_requests_is_answered_as_an_error() -> None:
    filters = server_stack(Limits(), 1000, Tree(), ServerSpan(L5d()), max_concurrent=0)
    answer = serve(filters, Replies(response()))
    assert (answer.status, answer.headers.get(b"finagle-http-nack")) == (503, b"true")


def test_a_server_s_timeout_is_told_as_a_total() -> None:
    def late(asked: Request) -> Response:
        asked.dst = WEB
        raise ServiceTimedOut("of one attempt")

    filters = server_stack(Limits(), 1000, Tree(), ServerSpan(L5d()), timeout_seconds=0)
    answer = stack(filters, late)(request())
    assert answer.status == 503
    assert b"exceeded 0.seconds to /svc/web" in bytes(answer.body)


# --- around one name ---


def of_path(policy: PathPolicy | None = None) -> tuple[list[Filter[Request, Response]], Tree]:
    metrics = Tree()
    return path_stack(WEB, policy or PathPolicy(), metrics), metrics


def test_headers_are_added_once_for_all_attempts() -> None:
    policy = PathPolicy(classifier=RetryableAll5XXConfig().build())
    again = response(503)
    again.retryable = True
    service = Replies(again, response())
    answer = serve(of_path(policy)[0], service)
    assert [line for line in service.requests[1] if line.startswith(b"Via")] == [
        b"Via: 1.1 linkerd"
    ]
    assert answer.headers.get_all(b"via") == [b"1.1 linkerd"]
    assert answer.headers.get_all(b"l5d-success-class") == [b"1.0"]


def test_a_name_counts_a_request_with_its_retries_as_one() -> None:
    filters, metrics = of_path(PathPolicy(classifier=RetryableAll5XXConfig().build()))
    serve(filters, Replies(ConnectFailed("x"), response()))
    names = ("requests", "success", "failures")
    assert [metrics.counter(name).value for name in names] == [1, 1, 0]
    assert metrics.counter("retries", "total").value == 1


def test_the_success_class_is_not_on_what_the_proxy_made() -> None:
    answer = serve(
        [*server_stack(Limits(), 9, Tree(), ServerSpan(L5d())), *of_path()[0]],
        Replies(NoHosts("x")),
    )
    assert b"l5d-success-class" not in answer.headers


def test_a_total_timeout_is_there_only_if_there_is_one() -> None:
    assert TotalTimeout not in kinds(of_path()[0])
    assert TotalTimeout in kinds(of_path(PathPolicy(total_seconds=1))[0])


# --- around one bound name and its client ---


def test_a_bound_name_is_told_to_the_endpoint() -> None:
    service = Replies(response())
    bound = Bound(Path.parse("/#/a"), Var(ADDR_NEG), Path.parse("/left"))
    serve(bound_stack(bound), service)
    assert service.requests[0][-2:] == [b"l5d-dst-client: /#/a", b"l5d-dst-residual: /left"]


@pytest.mark.parametrize(("tls", "kept"), [(None, b"a:443"), (TlsSettings(), b"a:80")])
def test_the_port_left_out_is_that_of_the_scheme(tls: TlsSettings | None, kept: bytes) -> None:
    filters = of_client(ClientPolicy(drop_default_port=True, tls=tls))
    service = Replies(response())
    for host in (b"a:80", b"a:443"):
        asked = request()
        asked.headers.set(b"Host", host)
        serve(filters, service, asked)
    seen = {lines[0] for lines in service.requests}
    assert seen == {b"Host: a", b"Host: " + kept}


def test_a_client_counts_every_attempt() -> None:
    metrics = Tree()
    filters = of_client(ClientPolicy(), metrics)
    serve(filters, Replies(ConnectFailed("x"), response()))
    names = ("requests", "success", "failures")
    assert [metrics.counter(name).value for name in names] == [2, 1, 1]
    assert metrics.counter("retries", "requeues").value == 1
