"""Cases of routers of HTTP/2. Where a case recommends something, that is what is expected."""

from collections.abc import Callable, Mapping
from typing import Any

from h2.events import ResponseReceived, StreamEnded, StreamReset

from meshproxy.backoff import constant
from meshproxy.budget import RetryBudget
from meshproxy.classifiers.status import StreamClassifier
from meshproxy.client.endpoint import classify
from meshproxy.config import kinds
from meshproxy.config.bases import ClassifierConfig
from meshproxy.config.errors import ConfigErrors
from meshproxy.config.h2 import h2_settings
from meshproxy.config.load import read
from meshproxy.errors import ConnectionClosed, ProxyError
from meshproxy.filters.retries import Requeues, Retries
from meshproxy.filters.stream_retries import StreamRetries
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.grpc import GrpcStatus, reset_of_status, status_of_reset
from meshproxy.h2.reset import StreamRefused
from meshproxy.h2.reset import StreamReset as Reset
from meshproxy.http.classifier import Classifier, ResponseClass
from meshproxy.http.headers import of
from meshproxy.http.message import Request, Response
from meshproxy.identifiers.identifier import Declined
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path
from meshproxy.protocols.h2 import H2RouterConfig
from meshproxy.service import stack
from tests.kit.h2_endpoint import H2Endpoint, Peer
from tests.kit.h2_wire import GET, POST, H2Wire
from tests.kit.k8s import wait_until
from tests.kit.messages import Replies
from tests.kit.proxy import Proxy
from tests.kit.streams import Streaming, call, stream_response
from tests.kit.wire import dial

Case = Mapping[str, Any]
Outcome = tuple[object, object]

AWAY, DONE, WRONG = ((b"grpc-status", code) for code in (b"14", b"0", b"5"))
_WORDS = {"success": "success", "failure": "failure", "retryable_failure": "retryable"}


def _expected(case: Case) -> Any:
    """Return what is recommended, if that is more than words, else what is expected.

    A key without a value is the rest of a sentence with a comma, as YAML reads it.
    """
    wanted = case.get("recommend")
    if wanted is None or isinstance(wanted, str):
        wanted = case.get("expect")
    if not isinstance(wanted, dict):
        return wanted
    return {key: value for key, value in wanted.items() if value is not None}


# --- configuration ---


def config(case: Case) -> Outcome:
    """The errors of a router's configuration, or what it comes to."""
    wanted = {key: value for key, value in _expected(case).items() if key not in ("why", "linkerd")}
    lines = case["yaml"].splitlines()
    text = "".join(f"{'- ' if at == 0 else '  '}{line}\n" for at, line in enumerate(lines))
    try:
        (router,) = read(f"routers:\n{text}", case["id"]).config.routers
    except ConfigErrors as error:
        return wanted, {"error_at": error.errors[0].path.removeprefix("routers[0].")}
    assert isinstance(router, H2RouterConfig)
    settings = h2_settings(router.servers[0])
    identifiers = router.identifiers()
    buffers = getattr(router.service, "retry_buffer_size", None)
    classifier: Any = getattr(router.service, "response_classifier", None)
    known = {
        "ok": True,
        "label": router.name,
        "port": router.servers[0].port,
        "server_defaults": {
            "ip": router.servers[0].ip,
            "maxConcurrentStreamsPerConnection": (
                router.servers[0].max_concurrent_streams_per_connection
            ),
            "windowUpdateRatio": settings.window_update_ratio,
        },
        "identifier": {
            "kind": identifiers[0].kind,
            "header": getattr(identifiers[0], "header", None),
        },
        "tried_in_order": [one.kind for one in identifiers],
        "responseBytes": buffers and buffers.response_bytes,
        "success": classifier and list(getattr(classifier, "success_status_codes", ())),
    }
    return wanted, {key: known[key] for key in wanted}


def identify(case: Case) -> Outcome:
    """The name of a request."""
    written = {key: case[key] for key in ("header", "segments") if key in case}
    found = kinds.find("identifiers", case["kind"])
    identifier: Any = found(**written).build(Path.of("svc"))  # type: ignore[attr-defined]
    fields = {name.encode(): value.encode() for name, value in case["request"].items()}
    target = fields.pop(b":path", b"/")
    authority = fields.pop(b":authority", None)
    pairs = [(b"host", authority)] if authority is not None else []
    named = identifier(Request(b"GET", target, b"2", of(*pairs, *fields.items())))
    return case["expect"], "none" if isinstance(named, Declined) else named.show()


# --- classifiers ---


def _classifier(case: Case, family: str) -> Classifier:
    found = kinds.find("classifiers", f"io.l5d.h2.{family}{case['kind']}")
    assert issubclass(found, ClassifierConfig)
    written: dict[str, Any] = {}
    if "codes" in case:
        written["retryable_status_codes"] = tuple(case["codes"])
    if "successStatusCodes" in case:
        written["success_status_codes"] = tuple(case["successStatusCodes"])
    built: Classifier = found(**written).build()
    return built


def _error(text: str) -> ProxyError:
    cause = text.removesuffix(" before the head")
    if cause == "connection closed":
        return ConnectionClosed(cause)
    code = ErrorCode[cause]
    return StreamRefused(cause) if code is ErrorCode.REFUSED_STREAM else Reset(cause, code)


def _verdict(case: Case, classifier: Classifier) -> dict[str, str]:
    """Return the class of the case's result, and when it was known."""
    method = case.get("method", "POST").encode()
    if "error" in case:
        result = classifier.error(method, _error(case["error"]), True)
        return {"class": _WORDS[result.value], "when": "head"}
    fields = [(b"grpc-status", case["headers_status"].encode())] if "headers_status" in case else []
    trailers = [(name.encode(), value.encode()) for name, value in case.get("trailers", {}).items()]
    is_whole = bool(fields) or case.get("end") == "HEADERS with END_STREAM"
    body = b"" if is_whole else Streaming(b"", *trailers)
    response = stream_response(body, *fields, status=case["status"])
    asked = call(method=method)
    judged = classifier.response(method, case["status"], response.headers, True)
    decided = judged is not None and (
        not isinstance(classifier, StreamClassifier) or judged is not ResponseClass.SUCCESS
    )
    classify(asked, response, classifier)
    if isinstance(body, Streaming):
        broken = "RST_STREAM" in case.get("end", "")
        body.end(broken=broken)
        response.failed |= broken  # what an endpoint makes of it, see `client.endpoint`
    outcome = "retryable" if response.retryable else "failure" if response.failed else "success"
    return {"class": outcome, "when": "head" if decided else "end"}


def grpc_classifier(case: Case) -> Outcome:
    """The class of a call, and when it is known."""
    return (
        {"class": case["expect"], "when": case["when"]},
        _verdict(case, _classifier(case, "grpc.")),
    )


def http_classifier(case: Case) -> Outcome:
    """The class of a result by its status, or that it is sent to another endpoint."""
    classifier = _classifier(case, "")
    if str(case.get("recommend", "")).startswith("requeue"):
        replies = Replies(_error(case["error"]), answer := stream_response(b""))
        requeues = Requeues(RetryBudget(1, 100, 0, lambda: 0), lambda: 2, 5, Tree())
        got = stack([requeues], replies)(call(method=case["method"].encode()))
        return (True, 2), (got is answer, len(replies.requests))
    return {"class": case["expect"], "when": case["when"]}, _verdict(case, classifier)


# --- retries ---


def _reply(text: str, size: int) -> Response:
    data = b"x" * size
    match text:
        case "retryable at end":
            return stream_response(Streaming(data, AWAY, within=0.0))
        case "success":
            return stream_response(Streaming(data, DONE, within=0.0))
        case "failure":
            return stream_response(Streaming(data, WRONG, within=0.0))
        case "retryable at head":
            return stream_response(b"", AWAY)
        case "head success" | "body open for ever":
            return stream_response(Streaming(data), DONE)
    raise KeyError(text)


def retries(case: Case) -> Outcome:
    """How often a call is sent, what is counted, and what its caller gets."""
    texts = [one for one in case["responses"] if one != "body open for ever"]
    replies = [_reply(one, case.get("response_bytes", 0)) for one in texts]
    service, metrics = Replies(*replies), Tree()
    classifier = _classifier({"kind": "default"}, "grpc.")
    budget = RetryBudget(1, 0 if case.get("budget") == "empty" else 100, 0, lambda: 0)
    backoff = (lambda: iter(())) if "backoff" in case else constant(0)
    outer = Retries(classifier, budget, backoff, 5, metrics, streams=True)
    inner = StreamRetries(outer, 0.1, case.get("responseBytes", 16_383), metrics)

    def judged(asked: Request) -> Response:
        response = service(asked)
        assert asked.classifier is not None
        classify(asked, response, asked.classifier)
        return response

    got = stack([outer, inner], judged)(call((b"x-own", b"1")))
    assert all(lines == service.requests[0] for lines in service.requests)
    waited = isinstance(got.body, Streaming) and got.body.waited
    wanted = case["expect"]
    known: dict[str, object] = {"attempts": len(service.requests)}
    for name in wanted:
        if name == "answer":
            known[name] = wanted[name] if got is replies[0] else "another response"
        elif name == "waits":
            known[name] = "some" if waited else "none"
        elif name == "retries/per_request":
            known[name] = metrics.stat("retries", "per_request").snapshot().sum
        elif name != "attempts":
            known[name] = metrics.counter(*name.split("/")).value
    return wanted, known


# --- resets ---


class _World(Proxy):
    """A router over one endpoint, and a client."""

    def __init__(self, port: int, more: str = "", server: str = "") -> None:
        super().__init__(
            "admin: {port: 0}\nrouters:\n- protocol: h2\n"
            f"  dtab: /svc => /$/inet/127.0.0.1/{port}\n{more}"
            f"  servers: [{{port: 0{server}}}]\n"
        )
        self._sock = dial(("127.0.0.1", self.port("h2")))
        self.wire = H2Wire(self._sock)

    def close(self) -> None:
        self._sock.close()
        super().close()

    def answer(self, headers: Any = GET) -> dict[str, object]:
        """Return what the client gets: a status, or a code that its stream is reset with."""
        stream_id = self.wire.ask(headers)
        event = self.wire.until((ResponseReceived, StreamReset), stream_id)
        if isinstance(event, StreamReset):
            return {"rst": ErrorCode(event.error_code or 0).name}
        fields = {str(name): str(value) for name, value in event.headers}
        found: dict[str, object] = {"status": int(fields[":status"])}
        if "l5d-err" in fields:
            found["l5d-err"] = "set"
        if "grpc-status" in fields:
            found["grpc-status"] = fields["grpc-status"]
        return found


def _silent(peer: Peer, event: object) -> None:
    del peer, event


def _closed_port() -> int:
    with H2Endpoint() as origin:
        return origin.port


def _unnamed(case: Case) -> dict[str, object]:
    del case
    with _World(1, "  identifier: {kind: io.l5d.header.token, header: x-name}\n") as world:
        return world.answer()


def _unconnected(case: Case) -> dict[str, object]:
    del case
    with _World(_closed_port()) as world:
        return world.answer()


def _too_deep(case: Case) -> dict[str, object]:
    del case
    with _World(1, server=", maxCallDepth: 1") as world:
        return world.answer((*GET, ("via", "1.1 a, 1.1 b")))


def _over(key: str) -> Callable[[Case], dict[str, object]]:
    def run(case: Case) -> dict[str, object]:
        del case
        with H2Endpoint(_silent) as origin, _World(origin.port, server=f", {key}: 1") as world:
            world.wire.ask()
            wait_until(lambda: bool(origin.peers) and bool(origin.peers[0].heads))
            return world.answer()

    return run


def _reset_by_endpoint(
    code: ErrorCode, *, within_body: bool
) -> Callable[[Case], dict[str, object]]:
    def script(peer: Peer, event: object) -> None:
        if isinstance(event, StreamEnded):
            if within_body:
                peer.head(event.stream_id)
                peer.send(event.stream_id, b"part")
            peer.reset(event.stream_id, code)

    def run(case: Case) -> dict[str, object]:
        with H2Endpoint(script) as origin, _World(origin.port) as world:
            if not within_body:
                return world.answer()
            event = world.wire.until(StreamReset, world.wire.ask())
            assert event.error_code == code
            return {"rst": case["expect"]["rst"]}

    return run


def _reset_by_client(case: Case) -> dict[str, object]:
    with H2Endpoint(_silent) as origin, _World(origin.port) as world:
        stream_id = world.wire.ask()
        wait_until(lambda: bool(origin.peers) and bool(origin.peers[0].heads))
        world.wire.h2.reset_stream(stream_id, ErrorCode.ENHANCE_YOUR_CALM)
        world.wire.flush()
        wait_until(lambda: bool(origin.peers[0].resets))
        (code,) = origin.peers[0].resets.values()
        same = case["expect"]["to_endpoint"]
        return {"to_endpoint": same if code == ErrorCode.ENHANCE_YOUR_CALM else code}


def _timed_out(case: Case) -> dict[str, object]:
    more = "  service: {totalTimeoutMs: 50}\n"
    with H2Endpoint(_silent) as origin, _World(origin.port, more) as world:
        asked = (*POST, ("content-type", "application/grpc"))
        grpc, other = world.answer(asked), world.answer()
        wanted = case["recommend"]
        return {
            "grpc": wanted["grpc"] if grpc.get("grpc-status") == "4" else grpc,
            "else": wanted["else"] if other["status"] == 503 else other,
        }


def _te(value: str) -> Callable[[Case], object]:
    def run(case: Case) -> object:
        del case
        with H2Endpoint() as origin, _World(origin.port) as world:
            world.wire.h2.config.validate_outbound_headers = False
            found = world.answer((*GET, ("te", value)))
            if "rst" in found:
                return found
            (fields,) = origin.peers[0].heads.values()
            return "passed on" if fields.get("te") == value else fields

    return run


_CAUSES: Mapping[str, Callable[[Case], object]] = {
    "no identifier names the request": _unnamed,
    "connecting failed": _unconnected,
    "Via has more entries than maxCallDepth": _too_deep,
    "over maxConcurrentRequests": _over("maxConcurrentRequests"),
    "more streams than maxConcurrentStreamsPerConnection": _over(
        "maxConcurrentStreamsPerConnection"
    ),
    "the same with a code Linkerd does not know (FLOW_CONTROL_ERROR": _reset_by_endpoint(
        ErrorCode.HTTP_1_1_REQUIRED, within_body=False
    ),
    "client resets while the endpoint works": _reset_by_client,
    "endpoint resets within the body": _reset_by_endpoint(ErrorCode.CANCEL, within_body=True),
    "total timeout": _timed_out,
    "te: chunked, trailers": _te("chunked, trailers"),
    "te: trailers": _te("trailers"),
}


def reset(case: Case) -> Outcome:
    """What a client gets for what goes wrong, through a whole router."""
    return _expected(case), _CAUSES[case["cause"]](case)


def grpc_status_of_reset(case: Case) -> Outcome:
    """The status of a call by the code of its reset, and the other way round."""
    if "to_reset" in case:
        wanted = dict(case["to_reset"])
        other = wanted.pop("every other")
        wanted |= {one.name: other for one in GrpcStatus if one.name not in wanted}
        return wanted, {name: reset_of_status(GrpcStatus[name]).name for name in wanted}
    codes = case["codes"]
    return codes, {name: int(status_of_reset(ErrorCode[name])) for name in codes}


KINDS: Mapping[str, Callable[[Case], Outcome]] = {
    driver.__name__: driver
    for driver in (
        config,
        identify,
        grpc_classifier,
        http_classifier,
        retries,
        reset,
        grpc_status_of_reset,
    )
}
