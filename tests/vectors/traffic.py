"""Cases about traffic: each kind drives meshproxy's own object and says what came out.

A driver takes a case's `given` and returns what its `expect` speaks of, in the same shape.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Any

from meshproxy.accrual.breaker import FailureAccrual, Policy, State
from meshproxy.accrual.policies import (
    ConsecutiveFailures,
    NeverDead,
    SuccessRate,
    SuccessRateWindowed,
)
from meshproxy.backoff import Backoff, decorrelated_jitter, equal_jitter
from meshproxy.balancers.p2c import two_choices
from meshproxy.budget import RetryBudget
from meshproxy.classifiers.status import NonRetryable5XXConfig
from meshproxy.config import kinds
from meshproxy.config.bases import ClassifierConfig, LabelerConfig
from meshproxy.errors import ConnectFailed, ConnectionClosed, NoHosts, ServiceTimedOut, WriteFailed
from meshproxy.ewma import PeakEwma
from meshproxy.filters.forwarded import AddForwarded, Labeler
from meshproxy.http.headers import of
from meshproxy.http.message import Request, Response
from meshproxy.http.target import origin_form, scheme_of
from meshproxy.metrics.tree import Tree

Given = Mapping[str, Any]
_MS = 1_000_000
_ALMOST_ONE = math.nextafter(1.0, 0.0)


class Clock:
    """Stands where it was put."""

    def __init__(self, ns: int) -> None:
        self.ns = ns

    def __call__(self) -> int:
        return self.ns

    def seconds(self) -> float:
        """Return the same in seconds."""
        return self.ns / 1e9


def ewma_trace(given: Given) -> dict[str, Any]:
    """One node's load, looked at between its requests."""
    clock = Clock(given["created_at_ns"])

    def now() -> float:
        return (clock.ns - given["created_at_ns"]) / 1e9

    load = PeakEwma(given["decay_ms"], now)
    started: dict[str, float] = {}
    loads = []
    for event in given["events"]:
        clock.ns = event["at_ns"]
        match event["op"]:
            case "start":
                started[event["id"]] = now()
                load.begin()
            case "end":
                load.head(started.pop(event["id"]), now())
                load.finish()
            case "load":
                value = load.value()
                row = {"at_ns": clock.ns, "pending": load.pending, "cost": load.cost, "load": value}
                loads.append(row)
    return {"loads": loads}


@dataclass(frozen=True)
class _Weight:
    pending: int
    amount: float

    def value(self) -> float:
        return self.amount


@dataclass(frozen=True, eq=False)
class _Node:
    status: str
    load: Any

    @property
    def is_open(self) -> bool:
        return self.status == "open"

    @property
    def is_closed(self) -> bool:
        return self.status == "closed"


def p2c_pick(given: Given) -> dict[str, Any]:
    """The node that two draws lead to."""
    nodes = [_Node(node["status"], _Weight(0, node["load"])) for node in given["nodes"]]
    try:
        picked = two_choices(nodes, given["bound"], given["draw_a"], given["draw_b"])
    except NoHosts:
        return {"picked_index": None}
    return {"picked_index": nodes.index(picked)}


def accrual_trace(given: Given) -> dict[str, Any]:
    """The breaker of one endpoint, after each thing that happened to it."""
    clock, tree = Clock(given["created_at_ms"] * _MS), Tree()
    accrual = FailureAccrual(_policy(given["policy"], clock), tree, "endpoint", clock)
    after = []
    for op in given["ops"]:
        clock.ns = op["at_ms"] * _MS
        _happen(accrual, op["op"])
        row = {
            "at_ms": op["at_ms"],
            "state": accrual.state.value,
            "status": "open" if accrual.is_open else "busy",
        }
        if accrual.state is State.DEAD:
            row["dead_until_ms"] = accrual._dead_until_ns / _MS
        if isinstance(accrual.policy, ConsecutiveFailures):
            row["consecutive_failures"] = accrual.policy.count
        if isinstance(accrual.policy, SuccessRate | SuccessRateWindowed):
            row["success_rate"] = accrual.policy.success_rate
        after.append(row)
    names = ("removals", "revivals", "probes")
    return {"after": after, "counters": {name: tree.counter(name).value for name in names}}


def _happen(accrual: FailureAccrual, op: str) -> None:
    how, _, result = op.partition("_")
    if how in ("send", "request", "connect"):
        accrual.sent()
    if how in ("result", "request", "connect"):
        {"ok": accrual.succeeded, "failed": accrual.failed, "ignorable": accrual.ignored}[result]()


def _policy(given: Given, clock: Clock) -> Policy:
    waits = [ms / 1000 for ms in given["backoff_ms"]]

    def backoff() -> Iterator[float]:
        return chain(waits, repeat(waits[-1]))

    match given["kind"]:
        case "io.l5d.consecutiveFailures":
            return ConsecutiveFailures(given["failures"], backoff)
        case "none":
            return NeverDead()
        case "io.l5d.successRate":
            return SuccessRate(given["success_rate"], given["requests"], backoff)
        case "io.l5d.successRateWindowed":
            rate, window_s = given["success_rate"], given["window_secs"]
            return SuccessRateWindowed(rate, window_s, backoff, clock.seconds)
        case kind:
            raise KeyError(f"failure accrual {kind} is not built")


def budget_trace(given: Given) -> dict[str, Any]:
    """A retry budget's balance after deposits and withdrawals."""
    clock = Clock(given["created_at_ms"] * _MS)
    budget = _budget(given, clock)
    after = []
    for op in given["ops"]:
        clock.ns = op["at_ms"] * _MS
        row = {"at_ms": op["at_ms"]}
        times = op.get("times", 1)
        if op["op"] == "deposit":
            for _ in range(times):
                budget.deposit(clock.seconds())
        elif op["op"] == "withdraw":
            granted = [budget.try_withdraw() for _ in range(times)].count(True)
            row |= {"granted": granted, "refused": times - granted}
        after.append(row | {"balance": budget.balance()})
    return {
        "after": after,
        "deposit_tokens": budget.deposit_tokens,
        "withdraw_tokens": budget.withdraw_tokens,
        "reserve_tokens": budget.reserve_tokens,
    }


def requeue_limit(given: Given) -> dict[str, Any]:
    """How often one request may be requeued."""
    budget = _budget(given, Clock(0))
    for _ in range(given.get("deposits_at_creation", 0)):
        budget.deposit(0.0)
    return {
        "balance": budget.balance(),
        "max_requeues_for_one_request": budget.requeue_limit(),
    }


def _budget(given: Given, clock: Clock) -> RetryBudget:
    return RetryBudget(
        given["ttl_secs"], given["min_retries_per_sec"], given["percent_can_retry"], clock.seconds
    )


def backoff_sequence(given: Given) -> dict[str, Any]:
    """The waits that given draws lead to, and how far each next one could have been."""
    draws = given["unit_draws"]
    got: dict[str, Any] = {"durations_ns": _waits(given, draws, len(draws) + 1)}
    if given["algorithm"] == "decorrelated":
        got["next_bounds_ns"] = [
            [_waits(given, [*draws[:past], unit], past + 2)[-1] for unit in (0.0, _ALMOST_ONE)]
            for past in range(len(draws))
        ]
    return got


def backoff_bounds(given: Given) -> dict[str, Any]:
    """The least and the greatest of each wait, in whole milliseconds that enclose them."""
    count = given["count"]
    low, high = (_waits(given, repeat(unit, count), count) for unit in (0.0, _ALMOST_ONE))
    return {"bounds_ms": [[a // _MS, -(-b // _MS)] for a, b in zip(low, high, strict=True)]}


def _waits(given: Given, draws: Iterable[float], count: int) -> list[int]:
    algorithms: dict[str, Callable[[float, float, Callable[[], float]], Backoff]] = {
        "decorrelated": decorrelated_jitter,
        "equal_jittered": equal_jitter,
    }
    source: Iterator[float] = iter(draws)
    start = algorithms[given["algorithm"]]
    backoff = start(given["min_ms"] / 1000, given["max_ms"] / 1000, source.__next__)
    return [round(seconds * 1e9) for seconds in islice(backoff(), count)]


_EXCEPTIONS = {
    "request_timeout": ServiceTimedOut,
    "write_failed": WriteFailed,
    "connect_failed": ConnectFailed,
    "connection_closed": ConnectionClosed,
}


def classifier(given: Given) -> dict[str, Any]:
    """The class of a response or of an exception."""
    kind = given["classifier"]
    config = NonRetryable5XXConfig if kind == "default" else kinds.find("classifiers", kind)
    assert issubclass(config, ClassifierConfig)
    classify = config().build()
    method = given["method"].encode()
    replayable = given["request_body"] == "buffered"
    if "exception" in given:
        error = _EXCEPTIONS[given["exception"]]()
        return {"class": classify.error(method, error, replayable).value}
    fields = given.get("response_headers", {}).items()
    headers = of(*((name.encode(), value.encode()) for name, value in fields))
    result = classify.response(method, given["response_status"], headers, replayable)
    return {"class": result.value}


@dataclass(frozen=True)
class _Peer:
    local: str
    remote: str
    certificate: None = None


def forwarded_header(given: Given) -> dict[str, Any]:
    """The Forwarded fields as the endpoint gets them."""
    came = given.get("existing_forwarded") or []
    fields = [("Host", given["host"])] if given["host"] else []
    fields += [("Forwarded", one) for one in ([came] if isinstance(came, str) else came)]
    headers = of(*((name.encode(), value.encode()) for name, value in fields))
    sent = given["uri"].encode()
    request = Request(b"GET", origin_form(b"GET", sent, b"1.0", headers), b"1.0", headers)
    request.scheme = scheme_of(sent)
    request.peer = _Peer(given["local_addr"], given["remote_addr"])
    by, for_ = (_labeler(given[end])(given["router_label"]) for end in ("by", "for"))
    add = AddForwarded(by, for_, secure=given.get("tls", False))
    add(request, lambda _: Response(200, b"", of()))
    return {"forwarded": [one.decode() for one in headers.get_all(b"forwarded")]}


def _labeler(given: Given) -> Callable[[str], Labeler]:
    config = kinds.find("labelers", given["kind"])
    assert issubclass(config, LabelerConfig)
    return config(**{name: value for name, value in given.items() if name != "kind"}).build


Driver = Callable[[Given], dict[str, Any]]
Outcome = tuple[object, object]


def check(driver: Driver) -> Callable[[Given], Outcome]:
    """Run a case: what it expects, and what came out as far as the case speaks of it."""

    def run(case: Given) -> Outcome:
        expected = dict(case["expect"])
        expected.pop("note", None)
        within = {
            "rel_tol": expected.pop("rel_tolerance", 0.0),
            "abs_tol": expected.pop("abs_tolerance", 0.0),
        }
        return expected, _as_far_as(expected, driver(case["given"]), within)

    return run


def _as_far_as(expected: object, got: object, within: Mapping[str, float]) -> object:
    """What is in *got* of that which *expected* has; a number near enough becomes the expected."""
    match expected, got:
        case dict(), dict():
            known = [name for name in expected if name in got]
            return {name: _as_far_as(expected[name], got[name], within) for name in known}
        case list(), list() if len(expected) == len(got):
            pairs = zip(expected, got, strict=True)
            return [_as_far_as(one, other, within) for one, other in pairs]
        case float(), float() | int() if math.isclose(expected, got, **within):
            return expected
    return got


KINDS: Mapping[str, Callable[[Given], Outcome]] = {
    driver.__name__: check(driver)
    for driver in (
        ewma_trace,
        p2c_pick,
        accrual_trace,
        budget_trace,
        requeue_limit,
        backoff_sequence,
        backoff_bounds,
        classifier,
        forwarded_header,
    )
}
