"""Cases about the headers of requests and responses, each through the filters that deal with it.

A driver takes a case's `given` and returns what its `expect` speaks of, in the same shape.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

from meshproxy.accrual.breaker import FailureAccrual
from meshproxy.accrual.policies import NeverDead
from meshproxy.client.endpoint import Endpoint
from meshproxy.config.client import GlobalClientConfig
from meshproxy.config.retries import RetryBudgetConfig
from meshproxy.config.svc import GlobalSvcConfig
from meshproxy.errors import BindingFailed, ProxyError
from meshproxy.ewma import LeastLoaded
from meshproxy.filters.client_stats import ClientStats
from meshproxy.filters.context import ClearContext, ReadContext
from meshproxy.filters.host import RewriteHost
from meshproxy.filters.timeouts import AttemptDeadline, TotalTimeout
from meshproxy.filters.trace import AttemptSpan, ServerSpan
from meshproxy.http import l5d
from meshproxy.http.errors import error_response
from meshproxy.http.headers import Headers, of
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.http.propagation import L5d
from meshproxy.http.target import origin_form
from meshproxy.http.trace_id import TraceId, sample_rate
from meshproxy.http.via import PSEUDONYM
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG, Address
from meshproxy.naming.bound import Bound
from meshproxy.naming.path import Path
from meshproxy.protocols.http import HttpRouterConfig
from meshproxy.router.path_policy import PathPolicy, path_policy
from meshproxy.router.policy import ClientPolicy, client_policy, new_budget
from meshproxy.router.stacks import (
    HttpFilter,
    bound_stack,
    client_stack,
    path_stack,
    server_stack,
)
from meshproxy.service import stack
from meshproxy.var import Var
from tests.vectors.traffic import Given, Outcome, check

WEB = Path.of("svc", "web")
LOW_HALF = (1 << 64) - 1


class Seen:
    """The end of a stack: remembers the head of the request, and answers *response*."""

    def __init__(self, response: Response | None = None) -> None:
        self._response = response or Response(200, b"OK", of())
        self.target = b""
        self.headers = of()

    def __call__(self, request: Request) -> Response:
        self.target = request.target
        self.headers = request.headers.copy()
        return self._response

    def get(self, name: bytes) -> str | None:
        """Return the only value of *name*, None without one."""
        values = self.headers.get_all(name)
        assert len(values) <= 1, f"{name!r} is there {len(values)} times"
        return values[0].decode("latin-1") if values else None


def header_rewrite(given: Given) -> dict[str, Any]:
    """A request as the router or the endpoint sees it, or its response as the client does."""
    asked = given["request"]
    method, target = asked["method"].encode(), asked["uri"].encode("latin-1")
    version, headers = asked["version"].encode(), _headers(asked["headers"])
    try:
        target = origin_form(method, target, version, headers)
    except ProxyError as error:
        return {"status": error.status}
    reply = given.get("response", {})
    end = Seen(Response(reply.get("status", 200), b"", _headers(reply.get("headers", ()))))
    serve = stack(_filters(given), end if given["stage"] == "server" else _endpoint(end).serve)
    answer = serve(Request(method, target, version, headers))
    stands = answer.headers if given["stage"] == "from_endpoint" else end.headers
    via_name = given.get("via_name", PSEUDONYM.decode()).encode()
    fields = [(name, value.replace(PSEUDONYM, via_name) if name == b"via" else value)
              for name, value in stands.items()]  # fmt: skip
    expect = _Fields(fields)
    return {
        "uri": end.target.decode("latin-1"),
        "status": answer.status,
        "forwarded_host": end.get(b"host"),
        "present": expect,
        "absent": expect,
    }


@dataclass(frozen=True)
class _Pool:
    """Connections on which *end* answers."""

    end: Seen

    def exchange(self, request: Request, deadline: float) -> Response:
        del deadline
        return self.end(request)


def _endpoint(end: Seen) -> Endpoint:
    """The endpoint, which has a say in what counts as a success."""
    never = FailureAccrual(NeverDead(), Tree(), "endpoint")
    cut = Tree().counter("cut")
    address = Address("127.0.0.1", 80)
    return Endpoint(address, _Pool(end), LeastLoaded(), never, cut, 1.0)  # type: ignore[arg-type]


def _filters(given: Given) -> list[HttpFilter]:
    """Every filter between the client and the *stage*."""
    binding = given.get("binding", {})
    clear = given.get("clear_context", False)
    filters = server_stack(Limits(), 1000, Tree(), ServerSpan(L5d()), clear_context=clear)
    if given["stage"] == "server":
        return filters
    filters += path_stack(_path(binding.get("service")) or WEB, PathPolicy(), Tree())
    client = _path(binding.get("client")) or Path.of("$", "inet", "127.1", "80")
    residual = _path(binding.get("residual")) or Path()
    filters += bound_stack(Bound(client, Var(ADDR_NEG), residual))
    budget = new_budget(RetryBudgetConfig())
    filters += client_stack(ClientPolicy(), budget, lambda: 1, Tree(), ClientStats(Tree()), bool)
    authority = given.get("authority")
    return [*filters, *([RewriteHost(authority)] if authority else [])]


class _Fields:
    """The fields of a message, compared as a case speaks of them: some present, some absent."""

    def __init__(self, fields: Sequence[tuple[bytes, bytes]]) -> None:
        self._fields = [(name.decode(), value.decode("latin-1")) for name, value in fields]

    def __eq__(self, other: object) -> bool:
        match other:
            case dict():
                return all(self._values(name) == values for name, values in other.items())
            case list():
                return not any(self._values(name) for name in other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._fields)

    def _values(self, name: str) -> list[str]:
        return [value for known, value in self._fields if known == name.lower()]


def _headers(fields: Sequence[Sequence[str]]) -> Headers:
    return of(*((name.encode("latin-1"), value.encode("latin-1")) for name, value in fields))


def _path(text: str | None) -> Path | None:
    return None if text is None else Path.parse(text)


def deadline_header(given: Given) -> dict[str, Any]:
    """What the endpoint is told of the deadlines that came and of the timeouts entered."""
    filters: list[HttpFilter] = [ClearContext()] if given["clear_context"] else []
    filters.append(ReadContext(Tree(), 1000))
    for timeout in given["local_timeouts"]:
        filters += _timeout(timeout["name"], timeout["timeout_ms"], timeout["now_ns"])
    headers = of(*((l5d.CTX_DEADLINE, value.encode()) for value in given["incoming"]))
    end = Seen()
    stack(filters, end)(Request(b"GET", b"/", b"1.1", headers))
    return {"outgoing": end.get(l5d.CTX_DEADLINE)}


def _timeout(name: str, milliseconds: int, now_ns: int) -> list[HttpFilter]:
    """The filter of a configured timeout, entered at *now_ns*; none if it is off."""
    if name == "requestAttemptTimeoutMs":
        client = GlobalClientConfig(request_attempt_timeout_ms=milliseconds)
        seconds = client_policy(client, WEB).attempt_seconds or inf
        return [AttemptDeadline(seconds, lambda: now_ns)] if seconds < inf else []
    seconds = path_policy(GlobalSvcConfig(total_timeout_ms=milliseconds), WEB).total_seconds
    return [TotalTimeout(seconds, lambda: now_ns)] if seconds < inf else []


def trace_header(given: Given) -> dict[str, Any]:
    """The headers of an attempt's span, below the server's, which the case names as the parent."""
    span, parent, trace = (int(given[f"{name}_id"], 16) for name in ("span", "parent", "trace"))
    high = int(given.get("trace_id_high") or "0", 16) or trace >> 64
    caller = TraceId(parent, 0, trace & LOW_HALF, given["flags"], high)
    if given["sampled"] is not None:
        caller = caller.sampled(given["sampled"])
    end = Seen()
    request = Request(b"GET", b"/", b"1.1", of((l5d.CTX_TRACE, caller.encode())))
    server = ServerSpan(L5d(), bits=lambda _: parent)
    request.headers = of((l5d.CTX_TRACE, caller.encode()))
    server.adopt(request)
    stack([AttemptSpan(lambda _: span)], end)(request)
    return {"l5d_ctx_trace": end.get(l5d.CTX_TRACE), "l5d_reqid": end.get(l5d.REQID)}


def sample_header(given: Given) -> dict[str, Any]:
    """The rate that a header asks for."""
    value = given["l5d-sample"]
    return {"rate": sample_rate(None if value is None else value.encode())}


def l5d_err(given: Given) -> dict[str, Any]:
    """The response to an error."""
    limits = HttpRouterConfig(max_headers_kb=given["max_headers_kb"]).limits()
    return _shown(error_response(BindingFailed(given["message"]), limits))


def max_call_depth(given: Given) -> dict[str, Any]:
    """Whether a server serves a request that came by so many proxies."""
    via = given["via"]
    values = [] if via is None else [via] if isinstance(via, str) else via
    end = Seen()
    request = Request(b"GET", b"/", b"1.1", _headers([("Via", value) for value in values]))
    answer = stack(server_stack(Limits(), given["max_call_depth"], Tree(), ServerSpan(L5d())), end)(
        request
    )
    return {"rejected": not end.target, **_shown(answer)}


def _shown(answer: Response) -> dict[str, Any]:
    assert isinstance(answer.body, bytes)
    error = answer.headers.get(l5d.ERR)
    return {
        "status": answer.status,
        "body": answer.body.decode(),
        "l5d_err": None if error is None else error.decode(),
    }


KINDS: Mapping[str, Callable[[Given], Outcome]] = {
    driver.__name__: check(driver)
    for driver in (
        header_rewrite,
        deadline_header,
        trace_header,
        sample_header,
        l5d_err,
        max_call_depth,
    )
}
