"""What a client gets when an endpoint breaks, what is counted, and what must not happen then.

No answer is mixed up, none that was cut looks whole, nothing is delivered twice that may not be,
and every wait has an end.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import h11
import pytest
from gevent import socket

from tests.e2e.test_routing import config
from tests.kit.badserver import BadServer, Reset, Script, Send, Stall, Until
from tests.kit.certs import Certs
from tests.kit.downstream import Answer, Downstream, SlowDownstream
from tests.kit.faults import Fault, FaultProxy, black_hole
from tests.kit.k8s import wait_until
from tests.kit.proxy import SERVER, Proxy, client
from tests.kit.wire import CutShort, WireClient, get

GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 4\r\n\r\nbody"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FIRST_FAILURE = "failureAccrual: {kind: io.l5d.consecutiveFailures, failures: 1}"
BROKEN = (CutShort, ConnectionResetError, h11.RemoteProtocolError)
"""What reading raises when a response was visibly cut short."""


@contextmanager
def through(*scripts: Script, more: str = "") -> Iterator[tuple[BadServer, Proxy, WireClient]]:
    """A client, a proxy with *more* client settings, and an endpoint that plays *scripts*."""
    settings = f"  client: {{{FIRST_FAILURE}, {more}}}"
    with (
        BadServer(scripts) as endpoint,
        Proxy(config(endpoint.port, settings)) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        yield endpoint, proxy, asking


# --- before and in the head ---


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param([Until(b"body"), Reset()], "closed", id="reset before the answer"),
        pytest.param([Until(b"body")], "closed", id="end before the answer"),
        pytest.param(
            [Until(b"body"), Send(b"HTTP/1.1 200 OK\r\nX-Leak: 1")], "closed", id="end in the head"
        ),
        pytest.param(
            [Until(b"body"), Send(b"HTTP/1.1 200 OK\r\nX-Leak: 1"), Reset()],
            "closed",
            id="reset in the head",
        ),
        pytest.param(
            [Until(b"body"), Send(b"SSH-2.0-X-Leak\r\n\r\n")], "bad_response", id="garbage"
        ),
        pytest.param(
            [Until(b"body"), Send(b"\x15\x03\x01\x00\x02\x02\x16"), Stall()],
            "bad_response",
            id="TLS",
        ),
        pytest.param(
            [Until(b"body"), Send(b"HTTP/1.1 200 OK\r\nX-Leak: " + b"a" * 100_000), Stall()],
            "bad_response",
            id="too large a head",
        ),
        pytest.param(
            [
                Until(b"body"),
                Send(b"HTTP/1.1 200 OK\r\nX-Leak: 1\r\nContent-Length: 1\r\nContent-Length: 2\r\n"),
                Send(b"\r\nab"),
            ],
            "bad_response",
            id="two lengths",
        ),
        pytest.param(
            [Until(b"body"), Send(b"HTTP/1.1 103 X-Leak\r\n\r\n" * 500)],
            "bad_response",
            id="endless 1xx",
        ),
    ],
)
def test_a_broken_answer_is_a_502_and_a_failure(script: Script, reason: str) -> None:
    with through(script) as (endpoint, proxy, asking):
        asking.send(POST)
        reply = asking.read(b"POST")
        assert (reply.status, bool(reply.get("l5d-err"))) == (502, True)
        assert b"x-leak" not in {name for name, _ in reply.raw}
        assert [bytes(seen).count(b"POST /") for seen in endpoint.received] == [1]
        scope = client(endpoint.port)
        counted = (f"failures/{reason}", "failure_accrual/removals", "connections", "pool_cached")
        assert proxy.counts(scope, *counted) == [1, 1, 0, 0]
        assert proxy.counts(SERVER, f"failures/{reason}", "status/502") == [1, 1]


@pytest.mark.parametrize("more", ["requestAttemptTimeoutMs: 100", ""], ids=["attempt", "total"])
@pytest.mark.parametrize(
    "late",
    [
        [Stall()],
        [Send(b"HTTP/1.1 200 OK\r\nX: "), Stall()],
        [Send(b"HTTP/1.1 100\r\n\r\n"), Stall()],
    ],
    ids=["no byte", "a part of the head", "an informational head"],
)
def test_a_stalled_answer_is_a_503_on_a_connection_of_no_more_use(late: Script, more: str) -> None:
    total = "" if more else "\n  service: {totalTimeoutMs: 100}"
    settings = f"  client: {{{FIRST_FAILURE}, {more}}}{total}"
    with (
        BadServer([[Until(), *late, Stall()], [Until(), Send(OK)]]) as endpoint,
        Proxy(config(endpoint.port, settings)) as proxy,
    ):
        reply = get(proxy.port(), "web")
        assert (reply.status, bool(reply.get("l5d-err"))) == (503, True)
        counted = ("failures/timeout", "failure_accrual/removals", "connections")
        assert proxy.counts(client(endpoint.port), *counted) == [1, 1, 0]
        assert get(proxy.port(), "web").body == b"ok"
        assert len(endpoint.received) == 2


def test_a_byte_now_and_then_extends_no_time_limit() -> None:
    drip = Fault(piece=1, pause_s=0.02)
    settings = "  client: {requestAttemptTimeoutMs: 150}"
    with (
        Downstream(lambda _: b"x") as origin,
        FaultProxy(origin.port, down=drip) as slow,
        Proxy(config(slow.port, settings)) as proxy,
    ):
        assert get(proxy.port(), "web").status == 503
        assert proxy.counts(client(slow.port), "failures/timeout") == [1]


# --- connecting ---

FS = """
admin: {{ip: 127.0.0.1, port: 0}}
namers: [{{kind: io.l5d.fs, rootDir: {directory}}}]
routers:
- protocol: http
  dtab: /svc => /#/io.l5d.fs
  client: {{connectTimeoutMs: 100, {client}}}
  servers:
  - {{port: 0, ip: 127.0.0.1}}
"""
FS_CLIENT = "rt/http/client/#/io.l5d.fs/web"


def named(directory: Path, *ports: int, settings: str = "") -> Proxy:
    """A proxy that finds the endpoints of `web` at these *ports*."""
    point(directory, *ports)
    return Proxy(FS.format(directory=directory, client=settings))


def point(directory: Path, *ports: int) -> None:
    """Let `web` be at these *ports*."""
    text = "".join(f"127.0.0.1 {port}\n" for port in ports)
    (directory / "web.new").write_text(text)
    (directory / "web.new").rename(directory / "web")


def closed_port() -> AbstractContextManager[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return nullcontext(sock.getsockname()[1])


NO_WAY_IN = pytest.mark.parametrize(
    "no_way_in", [closed_port, black_hole], ids=["refused", "times out"]
)
NoWayIn = Callable[[], AbstractContextManager[int]]


@NO_WAY_IN
def test_who_cannot_connect_asks_another_endpoint(tmp_path: Path, no_way_in: NoWayIn) -> None:
    with (
        Downstream(lambda _: b"ok") as origin,
        no_way_in() as port,
        named(tmp_path, port, origin.port, settings="failureAccrual: {kind: none}") as proxy,
        WireClient(proxy.port()) as asking,
    ):
        sent = 0
        while proxy.counts(FS_CLIENT, "retries/requeues")[0] < 6 and sent < 100:
            asking.send(POST)
            assert asking.read(b"POST").status == 200
            sent += 1
        assert proxy.counts(FS_CLIENT, "retries/requeues", "failures/connect") == [6, 6]
        assert len(origin.requests) == sent


@NO_WAY_IN
def test_when_nobody_can_be_connected_it_is_a_502_soon(tmp_path: Path, no_way_in: NoWayIn) -> None:
    with (
        no_way_in() as one,
        no_way_in() as two,
        named(tmp_path, one, two, settings=FIRST_FAILURE) as proxy,
    ):
        reply = get(proxy.port(), "web")
        assert (reply.status, reply.get("l5d-retryable")) == (502, "true")
        assert bytes(reply.body).count(b"127.0.0.1:%d" % one) >= 1
        counted = ("failures/connect", "retries/requeues", "failure_accrual/removals")
        assert proxy.counts(FS_CLIENT, *counted, "connections") == [2, 1, 2, 0]
        (longest,) = proxy.counts(SERVER, "request_latency_ms.max")
        assert longest < 1000


def test_attempts_stay_within_the_budget_when_all_fail(tmp_path: Path) -> None:
    budget = "requeueBudget: {minRetriesPerSec: 1, ttlSecs: 5, percentCanRetry: 0.2}"
    with (
        closed_port() as one,
        closed_port() as two,
        closed_port() as three,
        named(tmp_path, one, two, three, settings=budget) as proxy,
    ):
        assert {get(proxy.port(), "web").status for _ in range(30)} == {502}
        counted = ("requests", "retries/budget_exhausted", "retries/request_limit")
        attempts, *refused = proxy.counts(FS_CLIENT, *counted)
    assert 30 < attempts <= 30 * 1.2 + 5
    assert sum(refused) > 0


def test_a_request_is_connected_25_times_at_most(tmp_path: Path) -> None:
    budget = "requeueBudget: {minRetriesPerSec: 100}"
    with ExitStack() as held:
        socks = [held.enter_context(socket.socket()) for _ in range(30)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        ports = [sock.getsockname()[1] for sock in socks]
        with named(tmp_path, *ports, settings=budget) as proxy:
            assert get(proxy.port(), "web").status == 502
            assert proxy.counts(FS_CLIENT, "requests", "retries/requeues") == [25, 24]


def test_retries_stay_within_the_budget_when_all_fail() -> None:
    settings = (
        "  service: {responseClassifier: {kind: io.l5d.http.retryableRead5XX}, retries: "
        "{budget: {minRetriesPerSec: 1, ttlSecs: 5, percentCanRetry: 0.2}}}"
    )
    with (
        Downstream(lambda _: Answer(status=500)) as origin,
        Proxy(config(origin.port, settings)) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        assert {asking.get("web").status for _ in range(30)} == {500}
        counted = ("retries/total", "retries/budget_exhausted", "requests")
        retries, refused, requests = proxy.counts("rt/http/service/svc/web", *counted)
        assert (requests, refused > 0) == (30, True)
        assert 0 < retries <= 30 * 0.2 + 5
        assert len(origin.requests) == requests + retries


def test_who_is_one_too_many_is_refused_at_once_and_may_ask_again() -> None:
    with (
        SlowDownstream() as origin,
        Proxy(
            config(origin.port).replace("{port: 0,", "{maxConcurrentRequests: 1, port: 0,")
        ) as proxy,
        WireClient(proxy.port()) as busy,
    ):
        busy.send(GET)
        origin.wait_asked()
        reply = get(proxy.port(), "web")
        fields = ("l5d-retryable", "finagle-http-nack", "retry-after")
        assert [reply.status, *map(reply.get, fields)] == [503, "true", "true", "0"]
        assert reply.get("l5d-err")
        origin.let_go()
        assert busy.read().status == 200
        assert proxy.counts(SERVER, "nacks", "failures/overloaded") == [1, 1]
        assert len(origin.requests) == 1


# --- kept connections ---

LEAVES = [Until(), Send(OK), Until(b"\r\n\r\n"), Reset()]
SERVES = [Until(), Send(OK)]


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        (b"GET", b"", 200),
        (b"HEAD", b"", 200),
        (b"DELETE", b"", 200),
        (b"PUT", b"Content-Length: 4\r\n\r\nbody", 200),
        (b"PUT", b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", 200),
        (b"PUT", b"Content-Length: 9000\r\n\r\n" + b"b" * 9000, 502),
        (b"POST", b"Content-Length: 0\r\n\r\n", 502),
        (b"POST", b"Content-Length: 4\r\n\r\nbody", 502),
        (b"PATCH", b"Content-Length: 4\r\n\r\nbody", 502),
    ],
)
def test_a_stale_connection_fails_only_what_may_not_be_repeated(
    method: bytes, body: bytes, status: int
) -> None:
    with through(LEAVES, SERVES) as (endpoint, proxy, asking):
        assert asking.get("web").status == 200
        asking.send(method + b" /again HTTP/1.1\r\nHost: web\r\n" + (body or b"\r\n"))
        assert asking.read(method).status == status
        sent = b"".join(endpoint.received).count(method + b" /again ")
        assert sent == (2 if status == 200 else 1)
        counted = ("stale_connections", "failures/closed", "connects")
        expected = [1, 0, 2] if status == 200 else [1, 1, 1]
        assert proxy.counts(client(endpoint.port), *counted) == expected


def test_a_post_is_safe_on_a_connection_that_was_closed_before() -> None:
    with through([Until(), Send(OK)], SERVES) as (endpoint, _, asking):
        assert asking.get("web").status == 200
        wait_until(lambda: endpoint.ended)
        asking.send(POST)
        assert asking.read(b"POST").status == 200
        assert b"".join(endpoint.received).count(b"POST") == 1


@pytest.mark.parametrize("residue", [OK, b"x", b"\r\n"])
def test_residue_after_an_answer_is_given_to_nobody(residue: bytes) -> None:
    mine = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine"
    with through([Until(), Send(mine + residue), Stall()], SERVES) as (endpoint, proxy, asking):
        assert [asking.get("web").body for _ in range(2)] == [b"mine", b"ok"]
        assert len(endpoint.received) == 2
        assert proxy.counts(client(endpoint.port), "success", "connects") == [2, 2]


# --- in the body ---


@pytest.mark.parametrize("ending", [[], [Reset()]], ids=["end", "reset"])
@pytest.mark.parametrize(
    ("start", "is_delimited"),
    [
        (b"Content-Length: 9\r\n\r\npart", True),
        (b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", True),
        (b"Transfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n", True),
        (b"\r\npart", False),
    ],
    ids=["a length", "chunks", "a bad chunk", "until close"],
)
def test_a_body_cut_short_is_visibly_cut_short(
    start: bytes, is_delimited: bool, ending: Script
) -> None:
    may_end = not is_delimited and not ending
    script = [Until(), Send(b"HTTP/1.1 200 OK\r\n" + start), *ending]
    with through(script) as (endpoint, proxy, asking):
        asking.send(GET)
        with nullcontext() if may_end else pytest.raises(BROKEN):
            assert asking.read().body == b"part"
        counted = ("cut_responses", "connections", "pool_cached")
        expected = [0, 0, 0] if may_end else [1, 0, 0]
        assert proxy.counts(client(endpoint.port), *counted) == expected


def test_a_cut_that_has_no_framing_to_show_it_is_a_reset() -> None:
    script = [Until(), Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n")]
    with through(script) as (_, _, asking):
        asking.send(b"GET / HTTP/1.0\r\nHost: web\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            asking.read_to_end()


@pytest.mark.parametrize("is_reset", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize(
    ("body", "last"), [(b"abcd", b"abcd"), ((b"ab", b"cd"), b"0\r\n\r\n")], ids=["length", "chunks"]
)
def test_an_answer_cut_at_any_byte_never_looks_whole(
    body: bytes | tuple[bytes, ...], last: bytes, is_reset: bool
) -> None:
    with (
        Downstream(lambda _: Answer(body=body)) as origin,
        FaultProxy(origin.port) as bad,
        Proxy(config(bad.port)) as proxy,
    ):
        size = size_of_answer(origin.port, last)
        for cut in range(1, size):
            bad.down = Fault(cut_after=cut, is_reset=is_reset)
            with suppress(*BROKEN):
                assert get(proxy.port(), "web").status == 502
        bad.down = Fault(cut_after=size)
        assert get(proxy.port(), "web").body == b"abcd"


def size_of_answer(port: int, last: bytes) -> int:
    """Ask *port* directly; the bytes of an answer that ends with *last*."""
    received = b""
    with WireClient(port) as direct:
        direct.send(GET)
        while not received.endswith(last):
            received += direct.sock.recv(65536)
    return len(received)


def test_a_stall_in_the_body_is_a_cut_after_the_read_gap() -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"
    gap = "socketOptions: {readTimeoutMs: 100}"
    with through([Until(), Send(start), Stall()], more=gap) as (endpoint, proxy, asking):
        asking.send(GET)
        with pytest.raises(BROKEN):
            asking.read()
        counted = ("cut_responses", "connections")
        assert proxy.counts(client(endpoint.port), *counted) == [1, 0]


# --- answers before the request is over ---

LONG = b"POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 1000


@pytest.mark.parametrize("ending", [[], [Reset()], [Stall()]], ids=["closes", "resets", "waits"])
@pytest.mark.parametrize(("status", "failures"), [(413, 0), (200, 0), (500, 1)])
def test_an_early_answer_to_a_long_request_is_passed_on(
    status: int, failures: int, ending: Script
) -> None:
    early = b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\nearly" % status
    with through([Until(), Send(early), *ending]) as (endpoint, proxy, asking):
        asking.send(LONG)
        reply = asking.read(b"POST")
        assert (reply.status, reply.body, reply.get("connection")) == (status, b"early", "close")
        assert asking.read_to_end() == b""
        scope = client(endpoint.port)
        wait_until(lambda: proxy.counts(scope, "connections") == [0])
        counted = ("failures", f"status/{status}", "failure_accrual/removals", "connects")
        assert proxy.counts(scope, *counted) == [failures, 1, failures, 1]


def test_an_answer_to_a_post_that_is_still_coming_wins_over_the_broken_pipe() -> None:
    early = b"HTTP/1.1 413 X\r\nContent-Length: 5\r\n\r\nearly"
    with through([Until(), Send(early)]) as (_, _, asking):
        asking.send(LONG.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        try:
            for _ in range(100):
                asking.send(b"x" * 65536)
        except OSError:
            pass  # the proxy has answered and reads no more
        reply = asking.read(b"POST")
        assert (reply.status, reply.body) == (413, b"early")


def test_an_endpoint_that_never_reads_ends_with_the_attempt_and_fills_no_memory() -> None:
    limit = "requestAttemptTimeoutMs: 300"
    with through([Until(), Stall()], more=limit) as (endpoint, proxy, asking):
        (before,) = proxy.counts("process", "rss")
        asking.send(LONG.replace(b"10000000", b"1000000000"))
        sent = 0
        with suppress(OSError):
            while sent < 100 << 20:
                asking.send(b"x" * 65536)
                sent += 65536
        assert sent < 32 << 20  # what kernels hold on two connections
        assert asking.read(b"POST").status == 503
        counted = ("failures/timeout", "failure_accrual/removals", "connections")
        assert proxy.counts(client(endpoint.port), *counted) == [1, 1, 0]
        (after,) = proxy.counts("process", "rss")
        assert after - before < 16 << 20


# --- endpoints that vanish ---


def test_an_endpoint_that_is_removed_finishes_what_it_does(tmp_path: Path) -> None:
    with (
        SlowDownstream(b"old") as old,
        Downstream(lambda _: b"new") as new,
        named(tmp_path, old.port) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        asking.send(GET)
        old.wait_asked()
        point(tmp_path, new.port)
        proxy.wait_count(FS_CLIENT, "loadbalancer/removes")
        assert get(proxy.port(), "web").body == b"new"
        old.let_go()
        assert asking.read().body == b"old"
        assert [len(server.requests) for server in (old, new)] == [1, 1]
        proxy.wait_count(FS_CLIENT, "closes")


# --- TLS ---


def expired(certs: Certs, _: Certs) -> ssl.SSLContext:
    return certs.server("web.test", until=datetime.now(UTC) - timedelta(days=1))


def misnamed(certs: Certs, _: Certs) -> ssl.SSLContext:
    return certs.server("other.test")


def unknown(_: Certs, other: Certs) -> ssl.SSLContext:
    return other.server("web.test")


def too_old(certs: Certs, _: Certs) -> ssl.SSLContext:
    context = certs.server("web.test")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (expired, "certificate has expired"),
        (misnamed, "doesn't match"),
        (unknown, "unable to get local issuer certificate"),
        (too_old, "protocol version"),
    ],
)
def test_an_endpoint_that_cannot_prove_itself_gets_no_request(
    tmp_path: Path, fault: Callable[[Certs, Certs], ssl.SSLContext], why: str
) -> None:
    (tmp_path / "other").mkdir()
    certs, other = Certs(tmp_path), Certs(tmp_path / "other")
    tls = f"tls: {{commonName: web.test, trustCerts: [{certs.bundle}]}}"
    settings = f"  client: {{{FIRST_FAILURE}, {tls}}}"
    with (
        Downstream(lambda _: b"secret", context=fault(certs, other)) as origin,
        Proxy(config(origin.port, settings)) as proxy,
    ):
        reply = get(proxy.port(), "web")
        assert reply.status == 502
        assert why in reply.body.decode()
        assert (origin.requests, b"".join(origin.wire)) == ([], b"")
        counted = ("failures/tls", "failure_accrual/removals", "connections", "status/200")
        assert proxy.counts(client(origin.port), *counted) == [1, 1, 0, 0]


def test_an_endpoint_without_tls_is_not_spoken_to_in_clear(tmp_path: Path) -> None:
    tls = f"tls: {{commonName: web.test, trustCerts: [{Certs(tmp_path).bundle}]}}"
    with through([Until(b"\r\n"), Send(OK)], more=f"connectTimeoutMs: 300, {tls}") as running:
        endpoint, proxy, asking = running
        reply = asking.get("web", "/", "Cookie: secret")
        assert reply.status == 502
        assert b"".join(endpoint.received)[:1] == b"\x16"
        assert b"secret" not in b"".join(endpoint.received)
        assert proxy.counts(client(endpoint.port), "connections", "status/200") == [0, 0]
