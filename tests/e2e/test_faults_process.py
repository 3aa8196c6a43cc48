"""What can go wrong with the proxy's own process: it goes on, answers, and says so."""

import io
import json
import logging
import resource
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from gevent import socket
from gevent.event import Event

from meshproxy.http.headers import Headers
from meshproxy.http.message import Request, Response
from tests.e2e.test_command import ROOT, Serving
from tests.e2e.test_routing import config
from tests.kit.downstream import Answer, Downstream, Received, SlowDownstream
from tests.kit.k8s import wait_until
from tests.kit.proxy import SERVER, Proxy, client
from tests.kit.wire import CutShort, Reply, WireClient, get

GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"


def with_keys(text: str, keys: str) -> str:
    """Give the server in *text* more *keys*."""
    return text.replace("{port: 0, ip: 127.0.0.1}", f"{{port: 0, ip: 127.0.0.1, {keys}}}")


# --- descriptors ---


def shown(admin: WireClient, *names: str) -> list[float]:
    """What the process shows on an admin connection that is open already."""
    reply = admin.get("localhost", "/admin/metrics.json")
    metrics: dict[str, float] = json.loads(reply.body)
    return [metrics.get(name, 0) for name in names]


def allow_descriptors(pid: int, limit: int) -> None:
    """Let *pid* have no more than *limit* descriptors from now on."""
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, most))


def test_without_any_descriptor_clients_wait_and_are_served_later(tmp_path: Path) -> None:
    with Downstream(lambda _: b"x") as origin, ExitStack() as held:
        serving = Serving(config(origin.port), tmp_path)
        held.enter_context(serving.daemon)
        admin = held.enter_context(WireClient(serving.admin_port))
        (used,) = shown(admin, "process/fds")
        allow_descriptors(serving.daemon.process.pid, int(used) - 1)
        clients = [held.enter_context(WireClient(serving.port)) for _ in range(20)]
        for asking in clients:
            asking.send(GET)
        failures = f"{SERVER}/accept_failures"
        wait_until(lambda: shown(admin, failures)[0] >= 2)
        before = shown(admin, failures, "process/cpu_ms", "process/uptime")
        wait_until(lambda: serving.daemon.process.poll() or shown(admin, failures)[0] >= 5)
        after = shown(admin, failures, "process/cpu_ms", "process/uptime")
        _, cpu_ms, uptime_ms = (late - early for late, early in zip(after, before, strict=True))
        assert cpu_ms < uptime_ms
        allow_descriptors(serving.daemon.process.pid, 1000)
        assert {asking.read().status for asking in clients} == {200}
        assert {asking.get("web").status for asking in clients} == {200}
        assert shown(admin, f"{client(origin.port)}/failure_accrual/removals") == [0]
        log = serving.daemon.output()
        assert log.count("cannot accept") == 1
        assert "Traceback" not in log


def test_who_gets_no_descriptor_for_an_endpoint_may_ask_again(tmp_path: Path) -> None:
    first = "  client: {failureAccrual: {kind: io.l5d.consecutiveFailures, failures: 1}}"
    with Downstream(lambda _: b"x") as origin:
        serving = Serving(config(origin.port, first), tmp_path)
        with (
            serving.daemon as daemon,
            WireClient(serving.admin_port) as admin,
            WireClient(serving.port) as asking,
        ):
            wait_until(lambda: shown(admin, f"{SERVER}/connections") == [1])
            allow_descriptors(daemon.process.pid, int(*shown(admin, "process/fds")) - 1)
            reply = asking.get("web")
            assert (reply.status, reply.get("l5d-retryable")) == (503, "true")
            scope = client(origin.port)
            counted = (f"{scope}/failures/no_descriptor", f"{scope}/failure_accrual/removals")
            assert shown(admin, *counted) == [1, 0]
            allow_descriptors(daemon.process.pid, 1000)
            assert asking.get("web").status == 200


# --- the wall clock ---

JUMPING = """
import runpy, sys, time
from pathlib import Path
real, jump, program = time.time, Path(sys.argv[1]), sys.argv[2]
del sys.argv[1:3]
time.time = lambda: real() + float(jump.read_text())
runpy.run_path(program, run_name="__main__")
"""
DAY_S = 86400


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_timers_do_not_look_at_the_wall_clock(tmp_path: Path, jump_s: int) -> None:
    settings = "  client: {requestAttemptTimeoutMs: 300, loadBalancer: {kind: ewma}}"
    has_stalled, may_answer = Event(), Event()

    def stall(request: Received) -> Answer:
        if request.target == "/stall":
            has_stalled.set()
            may_answer.wait(10)
        return Answer()

    clock = tmp_path / "clock"
    clock.write_text("0")
    command = [sys.executable, "-c", JUMPING, clock, ROOT / "bin/meshproxy"]
    with Downstream(stall) as origin:
        text = config(origin.port, settings).replace(
            "port: 0, ip", "port: 0, headerReadTimeoutMs: 300, ip"
        )
        serving = Serving(text, tmp_path, command)
        with (
            serving.daemon,
            WireClient(serving.port) as slow,
            WireClient(serving.port) as stalled,
            WireClient(serving.port) as asking,
            WireClient(serving.admin_port) as admin,
        ):
            day = date(asking.get("web"))
            stalled.send(GET.replace(b"/ ", b"/stall "))
            slow.send(b"GET / HTTP/1.1\r\nHost: web\r\n")
            assert has_stalled.wait(10)
            clock.write_text(str(jump_s))
            again = asking.get("web")
            assert (again.status, date(again) != day) == (200, True)
            assert [stalled.read().status, slow.read().status] == [503, 408]
            scope = client(origin.port)
            names = (f"{SERVER}/failures/timeout", f"{SERVER}/failures/client_timeout")
            assert shown(admin, *names) == [1, 1]
            assert 0 < shown(admin, "process/uptime")[0] < DAY_S * 1000
            assert 0 <= shown(admin, f"{scope}/loadbalancer/load")[0] < 10
        may_answer.set()


def date(reply: Reply) -> str:
    """The day that a response says it is."""
    return (reply.get("date") or "")[:16]


# --- a fault of our own ---


def boom(_: Request) -> None:
    raise ZeroDivisionError("a fault in the proxy")


def test_a_fault_of_the_proxy_is_answered_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        Downstream(lambda _: b"x") as origin,
        Proxy(config(origin.port)) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        with monkeypatch.context() as broken, caplog.at_level(logging.ERROR):
            broken.setattr(proxy.linker.routers[0], "identify", boom)
            replies = [asking.get("web") for _ in range(3)]
        assert {(one.status, one.get("l5d-err")) for one in replies} == {(500, "internal+error")}
        assert proxy.counts(SERVER, "failures/internal", "status/500") == [3, 3]
        assert caplog.text.count("ZeroDivisionError: a fault in the proxy") == 1
        assert asking.get("web").status == 200
        assert len(origin.requests) == 1


class Faulty:
    """A response body that breaks by a fault of its code."""

    length: int | None = None
    trailers = None
    has_piece = False

    def read(self) -> bytes:
        raise ZeroDivisionError("a fault in the proxy")

    def close(self) -> None:
        """Nothing is held."""


def test_a_fault_within_a_response_cuts_it_and_is_counted(
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The hub prints it, or logs it where the process log has been set up."""
    with Downstream(lambda _: b"x") as origin, Proxy(config(origin.port)) as proxy:
        with WireClient(proxy.port()) as asking, monkeypatch.context() as broken:
            binding = proxy.linker.routers[0].binding
            broken.setattr(
                binding, "serve", lambda _path, _request: Response(200, b"OK", Headers(), Faulty())
            )
            asking.send(GET)
            with pytest.raises((CutShort, ConnectionResetError)):
                asking.read()
        proxy.wait_count(SERVER, "failures/internal")
        said = capfd.readouterr().err + caplog.text
        assert "ZeroDivisionError: a fault in the proxy" in said
        assert get(proxy.port(), "web").status == 200


# --- admin ---


def test_the_admin_server_answers_while_the_proxy_is_full() -> None:
    full = config(1).replace(
        "port: 0, ip", "port: 0, maxConnections: 1, maxConcurrentRequests: 1, ip"
    )
    with (
        SlowDownstream() as origin,
        Proxy(full.replace("/127.0.0.1/1 ", f"/127.0.0.1/{origin.port} ")) as proxy,
        WireClient(proxy.port()) as busy,
        WireClient(proxy.port()) as waiting,
    ):
        busy.send(GET)
        waiting.send(GET)
        origin.wait_asked()
        admin = proxy.linker.admin_port
        assert get(admin, "localhost", "/admin/ping").body == b"pong"
        assert proxy.counts(SERVER, "connections", "pending") == [1, 1]
        origin.let_go()
        assert busy.read().status == 200
        busy.close()
        assert waiting.read().status == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: local host\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000,
            413,
        ),
        (b"GET /admin/shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"DELETE /admin/shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"POST /admin/metrics.json HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
    ],
)
def test_the_admin_server_has_limits_of_its_own(raw: bytes, status: int) -> None:
    with Proxy(config(1)) as proxy, WireClient(proxy.linker.admin_port) as asking:
        asking.send(raw)
        assert asking.read().status == status
        assert get(proxy.linker.admin_port, "localhost", "/admin/ping").status == 200


def test_no_admin_page_shows_what_clients_sent() -> None:
    kinds = "{kind: io.l5d.recentRequests, sampleRate: 1.0}, {kind: io.l5d.prometheus}"
    secrets = ("header-secret", "cookie-secret", "body-secret", "answer-secret", "query-secret")
    with (
        Downstream(lambda _: Answer(body=b"answer-secret")) as origin,
        Proxy(f"telemetry: [{kinds}]\n{config(origin.port)}") as proxy,
        WireClient(proxy.port()) as asking,
    ):
        asking.send(
            b"POST /?query-secret HTTP/1.1\r\nHost: web\r\nAuthorization: header-secret\r\n"
            b"Cookie: a=cookie-secret\r\nContent-Length: 11\r\n\r\nbody-secret"
        )
        assert asking.read(b"POST").status == 200
        admin = proxy.linker.admin_port
        pages = get(admin, "localhost", "/admin/index.txt").body.decode().split()
        assert "/admin/metrics.json" in pages
        for page in pages:
            body = "".join(texts_of(get(admin, "localhost", page).body))
            assert [secret for secret in secrets if secret in body] == [], page


def texts_of(body: bytes) -> Iterator[str]:
    """Yields the text of a page, or those of the files in an archive."""
    if not body.startswith(b"PK"):
        yield body.decode()
        return
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        yield from (archive.read(name).decode() for name in archive.namelist())


def test_the_admin_server_is_on_loopback_unless_told_otherwise() -> None:
    with Proxy(config(1).replace("{ip: 127.0.0.1, port: 0}", "{port: 0}", 1)) as proxy:
        assert proxy.linker.config.admin.ip == "127.0.0.1"
        with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
            sock.connect(("127.0.0.2", proxy.linker.admin_port))
