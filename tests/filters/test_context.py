"""What the mesh's own headers may say, and who may say it."""

import pytest

from meshproxy.errors import BadDtabHeader, LoopDetected, MaxCallDepthExceeded, NoHosts
from meshproxy.filters.context import ClearContext, ReadContext
from meshproxy.http.deadline import Deadline
from meshproxy.http.ending import Ending
from meshproxy.http.errors import error_response
from meshproxy.http.headers import of
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from tests.kit.clock import FakeClock
from tests.kit.messages import Arriving as ArrivingBody
from tests.kit.messages import Endless, Replies, request, response


class Connected:
    """The ends of a connection."""

    remote, local, certificate = "127.0.0.1:9", "127.0.0.1:4140", None


DTAB, CTX = b"l5d-dtab", b"l5d-ctx-dtab"


def read(*fields: tuple[bytes, bytes]) -> tuple[str | None, dict[bytes, bytes]]:
    """Return the local dtab that *fields* make, and what the endpoint would see of them."""
    asked = request(*fields)
    ReadContext(Tree(), 1000)(asked, Replies(response()))
    shown = asked.local_dtab.show() if asked.local_dtab is not None else None
    return shown, dict(asked.headers.items())


def test_the_user_s_entries_come_last_so_that_they_win() -> None:
    shown, seen = read((DTAB, b"/b => /2 ; /c => /3"), (CTX, b"/a => /1"))
    assert shown == "/a=>/1;/b=>/2;/c=>/3"
    assert seen[CTX] == b"/a=>/1;/b=>/2;/c=>/3"
    assert DTAB not in seen


def test_repeated_headers_are_joined_in_order() -> None:
    shown, seen = read((DTAB, b"/a=>/1"), (CTX, b"/x=>/8;"), (DTAB, b"/b=>/2"), (CTX, b"/y=>/9"))
    assert shown == "/x=>/8;/y=>/9;/a=>/1;/b=>/2"
    assert list(seen).count(CTX) == 1


def test_the_entries_of_a_table_are_counted() -> None:
    metrics = Tree()
    for fields in [((DTAB, b"/a=>/1"), (CTX, b"/b=>/2;/c=>/3")), ((DTAB, b""),), ()]:
        ReadContext(metrics, 1000)(request(*fields), Replies(response()))
    size = metrics.stat("dtab", "size").snapshot()
    assert (size.count, size.sum) == (1, 3)


@pytest.mark.parametrize("value", [b"", b"  ", b"# no table"])
def test_an_empty_table_is_none_and_goes_no_further(value: bytes) -> None:
    shown, seen = read((DTAB, value), (CTX, value))
    assert shown is None
    assert not {DTAB, CTX} & set(seen)


@pytest.mark.parametrize("name", [DTAB, CTX])
@pytest.mark.parametrize("value", [b"/a", b"/a=>", b"a => /b", b"/a => /b c", b"/\xff\x00 => /b"])
def test_a_table_that_does_not_parse_is_the_client_s_fault(name: bytes, value: bytes) -> None:
    asked = request()
    asked.headers.names.append(name)
    asked.headers.lines.append(name + b": " + value)
    service = Replies(response())
    with pytest.raises(BadDtabHeader) as raised:
        ReadContext(Tree(), 1000)(asked, service)
    assert service.requests == []
    answer = error_response(raised.value, Limits())
    assert (answer.status, b"l5d-err" in answer.headers) == (400, True)


@pytest.mark.parametrize(("count", "is_refused"), [(256, False), (257, True)])
@pytest.mark.parametrize("at_once", [True, False])
def test_more_than_256_entries_are_refused(count: int, *, is_refused: bool, at_once: bool) -> None:
    if at_once:
        fields = [(DTAB, b";".join([b"/a=>/b"] * count))]
    else:
        half = count // 2
        tables = (b";".join([b"/a=>/b"] * number) for number in (half, count - half))
        fields = list(zip((DTAB, CTX), tables, strict=True))
    if is_refused:
        with pytest.raises(BadDtabHeader):
            read(*fields)
    else:
        assert read(*fields)[0]


def test_odd_bytes_leave_escaped() -> None:
    _, seen = read((DTAB, rb"/a\x0d\x0a => /b\xff"))
    assert seen[CTX] == rb"/\x61\x0d\x0a=>/\x62\xff"


def test_dtab_local_is_not_ours() -> None:
    shown, seen = read((b"Dtab-Local", b"/a=>/b"))
    assert (shown, seen[b"dtab-local"]) == (None, b"/a=>/b")


@pytest.mark.parametrize(
    "name",
    [
        b"l5d-dst-service",
        b"l5d-dst-client",
        b"l5d-dst-residual",
        b"l5d-reqid",
        b"x-forwarded-client-cert",
    ],
)
def test_what_clients_must_not_say_is_dropped(name: bytes) -> None:
    _, seen = read((name, b"forged"), (b"X-Other", b"1"), (name, b"again"))
    assert name not in seen
    assert seen[b"x-other"] == b"1"


def test_other_context_of_the_mesh_passes() -> None:
    _, seen = read((b"l5d-ctx-mine", b"1"), (DTAB, b"/a=>/b"))
    assert seen[b"l5d-ctx-mine"] == b"1"


# --- clearContext ---


def test_a_client_outside_the_mesh_has_no_say() -> None:
    names = [b"l5d-dtab", b"l5d-ctx-dtab", b"l5d-ctx-trace", b"l5d-sample", b"l5d-anything"]
    asked = request(*((name, b"x") for name in names), (b"X-Mine", b"1"))
    ClearContext()(asked, Replies(response()))
    assert asked.headers.names == [b"host", b"x-mine"]


def test_a_client_outside_the_mesh_learns_nothing() -> None:
    error = error_response(NoHosts("base dtab: /svc => /secret"), Limits())
    answer = ClearContext()(request(), Replies(error))
    assert (answer.status, answer.body) == (502, b"")
    assert answer.headers.get(b"content-length") == b"0"
    assert not any(name.startswith(b"l5d-") for name in answer.headers.names)


def test_an_error_that_an_endpoint_passes_on_is_emptied_and_let_go() -> None:
    endless = Endless()
    told = response(502, (b"l5d-err", b"secret"), (b"l5d-success-class", b"0.0"))
    told.body = endless
    answer = ClearContext()(request(), Replies(told))
    assert (answer.body, answer.headers.get(b"content-length")) == (b"", b"0")
    assert endless.is_closed


def test_an_ordinary_response_keeps_its_body() -> None:
    fine = response(200, (b"l5d-success-class", b"1.0"), (b"X-Mine", b"1"), body=b"page")
    answer = ClearContext()(request(), Replies(fine))
    assert (answer.body, answer.headers.names) == (b"page", [b"x-mine"])


def test_trailers_that_a_filter_inside_writes_say_nothing_of_the_mesh_either() -> None:
    trailers = of((b"grpc-status", b"0"))
    streamed = response()
    streamed.body, streamed.ending = ArrivingBody(b"page", trailers=trailers), Ending()
    streamed.ending.then(lambda _: trailers.write(b"l5d-success-class", b"1.0"))
    ClearContext()(request(), Replies(streamed))
    streamed.ending.come(broken=False)
    assert trailers.names == [b"grpc-status"]
    broken = response()
    broken.body, broken.ending = ArrivingBody(b"page"), Ending()
    ClearContext()(request(), Replies(broken)).ending.come(broken=True)  # type: ignore[union-attr]


# --- deadlines ---

CTX_DEADLINE = b"l5d-ctx-deadline"
SECOND = 1_000_000_000


class Arriving:
    """Requests with *values* as their deadlines, read when the clock stands at 100 s."""

    def __init__(self, *values: bytes) -> None:
        self.metrics = Tree()
        self.asked = request(*((CTX_DEADLINE, value) for value in values))
        ReadContext(self.metrics, 1000, FakeClock(start_s=100).ns)(self.asked, Replies(response()))
        self.told = self.asked.headers.get_all(CTX_DEADLINE)

    def sums(self) -> dict[str, tuple[int, float]]:
        """Return count and sum of what was measured."""
        names = ("remaining_ms", "expired_ms")
        scope = self.metrics.scope("admission_control", "deadline")
        stats = {name: scope.stat(name).snapshot() for name in names}
        return {name: (stat.count, stat.sum) for name, stat in stats.items() if stat.count}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([b"1 2"], [b"1 2"]),
        ([b"1 2 three"], [b"1 2"]),
        ([b"1000 9000", b"2000 8000"], [b"2000 8000"]),
        ([b"no", b"1 2"], [b"1 2"]),
        ([b"1 2", b"1"], [b"1 2"]),
    ],
)
def test_valid_deadlines_become_one(values: list[bytes], told: list[bytes]) -> None:
    found = Arriving(*values)
    assert found.told == told
    assert found.asked.ctx_deadline == Deadline.decode(told[0])


def test_what_is_no_deadline_at_all_passes_as_it_came() -> None:
    found = Arriving(b"soon", b"1")
    assert (found.told, found.asked.ctx_deadline) == ([b"soon", b"1"], None)
    assert found.metrics.stat("transit_latency_ms").snapshot().count == 0


def test_the_time_that_is_left_is_measured() -> None:
    found = Arriving(b"%d %d" % (99 * SECOND, 103 * SECOND))
    assert found.sums() == {"remaining_ms": (1, 3000)}
    assert found.metrics.stat("transit_latency_ms").snapshot().sum == 1000
    assert found.metrics.counter("admission_control", "deadline", "exceeded").value == 0


def test_an_expired_deadline_is_counted_and_passed_on() -> None:
    value = b"%d %d" % (101 * SECOND, 98 * SECOND)
    found = Arriving(value)
    assert found.sums() == {"expired_ms": (1, 2000)}
    assert found.metrics.stat("transit_latency_ms").snapshot().sum == 0
    assert found.metrics.counter("admission_control", "deadline", "exceeded").value == 1
    assert found.told == [value]


# --- call depth ---


def test_more_calls_than_allowed_are_refused() -> None:
    via = (b"Via", b"1.1 a, 1.1 b")
    assert ReadContext(Tree(), 2)(request(via), Replies(response())).status == 200
    service = Replies(response())
    with pytest.raises(MaxCallDepthExceeded) as raised:
        ReadContext(Tree(), 1)(request(via), service)
    assert str(raised.value) == (
        "Maximum number of calls (1) has been exceeded. Please check for proxy loops."
    )
    assert service.requests == []


def test_without_via_there_is_nothing_to_count() -> None:
    assert ReadContext(Tree(), 0)(request(), Replies(response())).status == 200


def test_a_request_that_has_come_through_31_of_us_is_in_a_loop() -> None:
    own = b", ".join([b"1.1 linkerd"] * 30)
    passes = (b"Via", own + b", 1.1 others" * 100)
    assert ReadContext(Tree(), 1000)(request(passes), Replies(response())).status == 200
    service = Replies(response())
    asked = request((b"Via", own), (b"Via", b"1.0 linkerd"))
    asked.peer = Connected()
    with pytest.raises(LoopDetected) as raised:
        ReadContext(Tree(), 1000)(asked, service)
    assert str(raised.value).startswith(
        "Loop detected: the request for web has come through 31 proxies of this kind "
        "to 127.0.0.1:4140 (Via)."
    )
    assert service.requests == []


def test_the_shortest_via_of_a_loop_is_counted() -> None:
    asked = request((b"Via", b",".join([b"1 linkerd"] * 31)))
    with pytest.raises(LoopDetected):
        ReadContext(Tree(), 1000)(asked, Replies(response()))


def test_a_smaller_call_depth_counts_first() -> None:
    asked = request((b"Via", b", ".join([b"1.1 linkerd"] * 40)))
    with pytest.raises(MaxCallDepthExceeded):
        ReadContext(Tree(), 39)(asked, Replies(response()))
