"""One span for the server, one below it for each attempt, and who is told of which."""

import pytest

from meshproxy.errors import ConnectFailed, ProxyError
from meshproxy.filters.trace import AttemptSpan, ServerSpan
from meshproxy.http.ending import Ending
from meshproxy.http.message import Request, Response
from meshproxy.http.phases import CONNECT, spend
from meshproxy.http.propagation import B3, L5d
from meshproxy.http.trace import Recording, Span
from meshproxy.http.trace_id import TraceId
from meshproxy.naming.path import Path
from meshproxy.service import stack
from tests.kit.messages import Replies, request, response

CTX, SAMPLE, REQID = b"l5d-ctx-trace", b"l5d-sample", b"l5d-reqid"
UNDECIDED = b"AAAAAAAAAKEAAAAAAAAAsgAAAAAAAADDAAAAAAAAAAA="
SAMPLED = b"ASNFZ4mrze8RERERERERESIiIiIiIiIiAAAAAAAAAAY="


class Recorded(list[Span]):
    """A recorder of the traces that *wanted* says, perhaps of errors and of phases."""

    def __init__(
        self, *, wanted: bool = True, wants_errors: bool = False, wants_phases: bool = False
    ) -> None:
        self._wanted = wanted
        self.wants_errors = wants_errors
        self.wants_phases = wants_phases

    __eq__, __hash__ = object.__eq__, object.__hash__

    def wants(self, trace: int, flags: int) -> bool:
        decided = TraceId(1, 1, trace, flags).is_sampled
        return self._wanted if decided is None else decided

    def record(self, recording: Recording) -> None:
        spans = recording.spans(phases=self.wants_phases)
        assert len(spans) == recording.size(phases=self.wants_phases)
        self.extend(spans)


def next_ids(count: int, span: int, server: int) -> bytes:
    """Return *count* bytes of which the ids of the next new trace are these."""
    return bytes(count - 16) + span.to_bytes(8) + server.to_bytes(8)


def served(
    asked: Request,
    *answers: Response | ProxyError,
    recorded: Recorded | None = None,
    bits: tuple[int, ...] = (0, 7, 8, 9),
) -> Replies:
    """Serve *asked*, one attempt after the other; *bits* are the salt and then each span."""
    drawn = iter(bits)

    def draw(_: int) -> int:
        return next(drawn)

    replies = Replies(*(answers or (response(),)))
    attempt = AttemptSpan(draw, lambda count: next_ids(count, draw(64), draw(64)))

    def attempts(request: Request) -> Response:
        for _ in answers[1:]:
            try:
                attempt(request, replies)
            except ProxyError:
                request.retries += 1
        return attempt(request, replies)

    recorders = [] if recorded is None else [recorded]
    server = ServerSpan(L5d(), recorders, "outgoing", draw)
    if server.is_needed:
        stack([server], attempts)(asked)
    else:
        server.adopt(asked)
        attempts(asked)
    return replies


def told(*fields: tuple[bytes, bytes], bits: tuple[int, ...] = (0, 7, 8)) -> dict[bytes, bytes]:
    """Return the headers an endpoint sees."""
    asked = request(*fields)
    served(asked, bits=bits)
    return dict(asked.headers.items())


def adopted(value: bytes, *more: tuple[bytes, bytes]) -> TraceId:
    """Return the span that an endpoint is told of, below one whose header is *value*."""
    found = TraceId.decode(told((CTX, value), *more)[CTX])
    assert found is not None
    return found


def test_without_a_trace_a_new_one_begins() -> None:
    seen = told()
    assert TraceId.decode(seen[CTX]) == TraceId(7, 8, 8)
    assert seen[REQID] == b"0000000000000008"


def test_a_trace_begins_with_the_first_attempt_that_has_an_endpoint() -> None:
    asked = request()
    asked.retries = 1
    attempt = AttemptSpan(random_bytes=lambda count: next_ids(count, 7, 8))
    attempt(asked, Replies(response()))
    assert TraceId.decode(asked.headers.get(CTX) or b"") == TraceId(7, 8, 8)


def test_a_trace_goes_on_with_spans_of_our_own() -> None:
    asked = request((CTX, SAMPLED))
    served(asked)
    assert asked.trace is not None
    assert asked.trace.id == TraceId(7, 0x0123456789ABCDEF, 0x2222222222222222, 6)
    assert TraceId.decode(asked.headers.get(CTX) or b"") == asked.trace.id.child(8)
    assert asked.headers.get(REQID) == b"2222222222222222"


def test_a_long_trace_keeps_its_high_half() -> None:
    assert adopted(TraceId(1, 2, 3, 0, 9).encode()) == TraceId(8, 7, 3, 0, 9)


def test_a_header_that_cannot_be_read_is_as_if_absent() -> None:
    assert adopted(b"nonsense") == TraceId(8, 7, 7)


def test_each_attempt_is_a_span_of_its_own() -> None:
    replies = served(request(), ConnectFailed("x"), response())
    values = [
        line.partition(b": ")[2] for lines in replies.requests for line in lines if CTX in line
    ]
    assert list(map(TraceId.decode, values)) == [TraceId(7, 8, 8), TraceId(9, 8, 8)]


def test_the_headers_of_the_client_do_not_remain() -> None:
    asked = request((CTX, UNDECIDED), (SAMPLE, b"1"), (REQID, b"forged"), (CTX, SAMPLED))
    served(asked)
    assert [asked.headers.names.count(name) for name in (CTX, SAMPLE, REQID)] == [1, 0, 1]


@pytest.mark.parametrize(
    ("trace", "rate", "flags"),
    [
        (TraceId(1, 1, 4999), b"0.5", 6),
        (TraceId(1, 1, 5000), b"0.5", 2),
        (TraceId(1, 1, 5000, 6), b"0", 2),
        (TraceId(1, 1, 9999, 2), b"1.0", 6),
        (TraceId(1, 1, 9999, 6), b"nonsense", 6),
        (TraceId(1, 1, 9999, 1), b"1", 7),
    ],
)
def test_the_rate_decides_over_what_the_trace_says(trace: TraceId, rate: bytes, flags: int) -> None:
    assert adopted(trace.encode(), (SAMPLE, rate)).flags == flags


def test_the_salt_makes_proxies_choose_different_traces() -> None:
    chosen = [
        TraceId.decode(
            told((CTX, TraceId(1, 1, 4999).encode()), (SAMPLE, b"0.5"), bits=(salt, 7, 8))[CTX]
        )
        for salt in (0, 8)
    ]
    assert [one and one.flags for one in chosen] == [6, 2]


def test_server_and_attempts_are_recorded_with_what_happened() -> None:
    recorded, asked = Recorded(), request((b"Host", b"web"), (b"Content-Type", b"text/plain"))
    asked.dst, asked.bound_id = Path.parse("/svc/web"), Path.parse("/#/io.l5d.fs/web")
    asked.endpoint = "10.0.0.1:80"
    served(asked, ConnectFailed("x"), response(503), recorded=recorded)
    first, second, server = recorded
    assert [span.facts.kind for span in recorded] == ["CLIENT", "CLIENT", "SERVER"]
    assert [span.id.parent for span in recorded] == [7, 7, 7]
    assert (first.tags["error"], second.tags["error"]) == ("connect", "503")
    assert (second.remote, second.tags["client"]) == ("10.0.0.1:80", "/#/io.l5d.fs/web")
    assert [what for _, what in server.events] == ["finagle.retry"]
    expected = {
        "http.req.method": "GET",
        "http.req.host": "web",
        "http.req.content-type": "text/plain",
        "http.rsp.status": "503",
        "service": "/svc/web",
        "router.label": "outgoing",
    }
    assert expected.items() <= server.tags.items()
    assert all(span.duration_us > 0 for span in recorded)


def test_an_error_ends_both_spans() -> None:
    recorded = Recorded()
    with pytest.raises(ConnectFailed):
        served(request(), ConnectFailed("x"), recorded=recorded)
    assert [span.tags["error"] for span in recorded] == ["connect", "connect"]


@pytest.mark.parametrize("broken", [False, True])
def test_a_span_lasts_until_the_body_has_ended(*, broken: bool) -> None:
    recorded, answer = Recorded(), response()
    answer.ending = ending = Ending()
    served(request(), answer, recorded=recorded)
    assert list(recorded) == []
    ending.come(broken=broken)
    assert [span.tags.get("error") for span in recorded] == ["cut" if broken else None] * 2
    assert [[what for _, what in span.events] for span in recorded] == [["response head"]] * 2


@pytest.mark.parametrize("wanted", [False, True])
def test_what_is_undecided_is_decided_for_all_that_follow(*, wanted: bool) -> None:
    recorded, asked = Recorded(wanted=wanted), request()
    served(asked, recorded=recorded)
    found = TraceId.decode(asked.headers.get(CTX) or b"")
    assert found is not None
    assert (found.is_sampled, len(recorded)) == (wanted, 2 * wanted)


def test_a_new_trace_that_nobody_records_begins_with_the_first_attempt() -> None:
    asked = request()
    replies = served(
        asked, ConnectFailed("x"), response(), recorded=Recorded(wanted=False), bits=(0, 6, 7, 8, 9)
    )
    values = [
        line.partition(b": ")[2] for lines in replies.requests for line in lines if CTX in line
    ]
    unsampled = TraceId(7, 8, 8).sampled(yes=False)
    assert list(map(TraceId.decode, values)) == [unsampled, unsampled._replace(span=9)]
    assert asked.headers.get(REQID) == b"0000000000000008"


def test_other_propagators_are_told_that_a_new_trace_is_not_sampled() -> None:
    asked = request()
    server = ServerSpan(B3(), [Recorded(wanted=False)], "outgoing")
    stack([server], lambda asked: AttemptSpan()(asked, Replies(response())))(asked)
    assert asked.headers.get(b"x-b3-sampled") == b"0"
    assert CTX not in asked.headers


def test_a_decision_of_the_caller_wins() -> None:
    recorded = Recorded(wanted=True)
    served(request((CTX, TraceId(1, 1, 1).sampled(yes=False).encode())), recorded=recorded)
    assert list(recorded) == []


def test_errors_are_recorded_whatever_was_decided_by_who_wants_them() -> None:
    always, never = Recorded(wanted=False, wants_errors=True), Recorded(wanted=False)
    for answers in ([response()], [response(503)], [ConnectFailed("x"), response()]):
        asked = request()
        server = ServerSpan(L5d(), [always, never], "outgoing")
        attempt, replies = AttemptSpan(), Replies(*answers)

        def attempts(
            asked: Request, attempt: AttemptSpan = attempt, to: Replies = replies
        ) -> Response:
            try:
                return attempt(asked, to)
            except ProxyError:
                return attempt(asked, to)

        stack([server], attempts)(asked)
        found = TraceId.decode(asked.headers.get(CTX) or b"")
        assert found is not None
        assert found.is_sampled is False
    assert [(span.facts.kind, span.tags["error"]) for span in always] == [
        ("CLIENT", "503"),
        ("SERVER", "503"),
    ]
    assert list(never) == []


def test_phases_are_spans_for_those_who_want_them() -> None:
    phases, plain = Recorded(wants_phases=True), Recorded()
    asked, answer = request(), response()
    answer.ending = ending = Ending()

    def attempt(asked: Request) -> Response:
        spend(asked, CONNECT, 0.001)
        return AttemptSpan()(asked, Replies(answer))

    stack([ServerSpan(L5d(), [phases, plain], "outgoing")], attempt)(asked)
    ending.come(broken=False)
    assert [span.facts.kind for span in plain] == ["CLIENT", "SERVER"]
    assert sorted(span.facts.name for span in phases) == ["GET", "GET", "body", "wait"]
    server = phases[-1]
    client = next(span for span in phases if span.facts.kind == "CLIENT")
    assert {span.id.parent for span in phases if span.facts.kind == "INTERNAL"} == {client.id.span}
    assert client.id.parent == server.id.span
