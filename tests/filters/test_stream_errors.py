"""What clients of HTTP/2 get for an error: a response, a reset, or a status of gRPC."""

import pytest

from meshproxy.errors import (
    BadDtabHeader,
    BadResponse,
    BindingTimedOut,
    ClientGone,
    ConnectFailed,
    DeadlineExceeded,
    Forbidden,
    LoopDetected,
    MaxCallDepthExceeded,
    NoHosts,
    PoolFull,
    ProxyError,
    ServiceTimedOut,
    TimedOutBinding,
    UnidentifiedRequest,
)
from meshproxy.filters.admission import Overloaded
from meshproxy.filters.stats import ServerStats
from meshproxy.filters.stream_errors import StreamErrors, status_of
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.grpc import GrpcStatus
from meshproxy.h2.reset import StreamRefused, StreamReset
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.metrics.tree import Tree
from meshproxy.recent.requests import RecentRequests
from meshproxy.service import stack
from tests.kit.messages import Replies, request
from tests.kit.streams import call


def answer(error: Exception, asked: Request | None = None, *, grpc: bool = True) -> Response:
    responder = StreamErrors(Limits(), Tree(), grpc_status=grpc)
    return responder(asked or request(version=b"2"), Replies(error))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoHosts("x"), 502),
        (ConnectFailed("x"), 502),
        (MaxCallDepthExceeded("x"), 400),
        (BadDtabHeader("x"), 400),
        (ServiceTimedOut("x"), 503),
    ],
)
def test_most_errors_are_responses(error: ProxyError, status: int) -> None:
    response = answer(error)
    assert (response.status, response.body) == (status, b"x")
    assert response.headers.get("l5d-err") == "x"


@pytest.mark.parametrize("error", [UnidentifiedRequest("x"), Overloaded("x")])
def test_what_was_not_processed_is_refused(error: ProxyError) -> None:
    with pytest.raises(StreamReset, match="x") as caught:
        answer(error)
    assert caught.value.code == ErrorCode.REFUSED_STREAM


@pytest.mark.parametrize("error", [UnidentifiedRequest("x"), StreamRefused("x"), StreamReset("x")])
def test_a_reset_has_the_reason_of_its_cause_and_is_counted_once(error: ProxyError) -> None:
    tree = Tree()
    stats = ServerStats(tree, RecentRequests())
    served = stack([stats, StreamErrors(Limits(), tree)], Replies(error))
    with pytest.raises(StreamReset) as caught:
        served(request(version=b"2"))
    assert caught.value.reason == error.reason
    failures = tree.scope("failures").instruments
    assert {name: one.value for name, one in failures.items()} == {error.reason: 1}


@pytest.mark.parametrize("asked", [request(version=b"2"), call()])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StreamReset("x", ErrorCode.ENHANCE_YOUR_CALM), ErrorCode.ENHANCE_YOUR_CALM),
        (StreamReset("x", ErrorCode.HTTP_1_1_REQUIRED), ErrorCode.INTERNAL_ERROR),
        (StreamRefused("x"), ErrorCode.REFUSED_STREAM),
    ],
)
def test_a_reset_by_the_endpoint_is_one_for_the_client(
    asked: Request, error: StreamReset, code: int
) -> None:
    with pytest.raises(StreamReset) as caught:
        answer(error, asked)
    assert caught.value.code == code


def test_nobody_is_told_when_the_client_has_gone() -> None:
    with pytest.raises(ClientGone):
        answer(ClientGone("x"), call())


def test_the_caller_of_a_grpc_call_gets_its_status() -> None:
    metrics = Tree()
    response = StreamErrors(Limits(), metrics)(call(), Replies(ConnectFailed("100 % refused\n")))
    assert (response.status, response.body) == (200, b"")
    assert list(response.headers.items()) == [
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"14"),
        (b"grpc-message", b"100 %25 refused%0A"),
        (b"l5d-err", b"100+%25+refused%0A"),
        (b"l5d-retryable", b"true"),
    ]
    assert response.failed
    assert metrics.counter("failures", "connect").value == 1


def test_linkerd_s_answers_can_be_chosen_for_calls_too() -> None:
    assert answer(NoHosts("x"), call(), grpc=False).status == 502
    with pytest.raises(StreamReset):
        answer(UnidentifiedRequest("x"), call(), grpc=False)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnidentifiedRequest("x"), GrpcStatus.UNAVAILABLE),
        (Overloaded("x"), GrpcStatus.UNAVAILABLE),
        (NoHosts("x"), GrpcStatus.UNAVAILABLE),
        (BindingTimedOut("x"), GrpcStatus.UNAVAILABLE),
        (ConnectFailed("x"), GrpcStatus.UNAVAILABLE),
        (PoolFull("x"), GrpcStatus.UNAVAILABLE),
        (ServiceTimedOut("x"), GrpcStatus.DEADLINE_EXCEEDED),
        (TimedOutBinding("x"), GrpcStatus.DEADLINE_EXCEEDED),
        (DeadlineExceeded("x"), GrpcStatus.DEADLINE_EXCEEDED),
        (MaxCallDepthExceeded("x"), GrpcStatus.INVALID_ARGUMENT),
        (LoopDetected("x"), GrpcStatus.INVALID_ARGUMENT),
        (BadDtabHeader("x"), GrpcStatus.INVALID_ARGUMENT),
        (Forbidden("x"), GrpcStatus.PERMISSION_DENIED),
        (BadResponse("x"), GrpcStatus.INTERNAL),
    ],
)
def test_every_error_has_a_status(error: ProxyError, status: GrpcStatus) -> None:
    assert status_of(error) is status
