"""What a reload changes, what it leaves alone, and what it does when it cannot."""

import gc
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket
from gevent.event import Event

from meshproxy.config.load import load
from meshproxy.runtime.building import CannotStart
from meshproxy.runtime.generation import Generation
from meshproxy.runtime.reload import reload
from tests.e2e.test_routing import config
from tests.kit.certs import Certs
from tests.kit.dns import DnsServer
from tests.kit.downstream import Answer, Downstream, Received, SlowDownstream
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient, free_port, get, refuses

GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
SERVER = "- {port: 0, ip: 127.0.0.1}"
ADMIN = "admin: {ip: 127.0.0.1, port: 0}"
FILES = """
admin: {{ip: 127.0.0.1, port: 0}}
namers:
- {{kind: io.l5d.fs, rootDir: {root}}}
routers:
- protocol: http
  dtab: /svc => /#/io.l5d.fs
  client: {{{client}}}
  servers: [{{port: 0, ip: 127.0.0.1, maxCallDepth: {depth}}}]
"""
BREAKER = (
    "failureAccrual: {kind: io.l5d.consecutiveFailures, failures: 1,"
    " backoff: {kind: constant, ms: 60000}}"
)
CLIENT = "rt/http/client/#/io.l5d.fs/web"


def renew(proxy: Proxy, text: str) -> None:
    """Let *proxy* serve *text*."""
    proxy.linker.reload(load(text, "new.yaml"))


def files(directory: Path, *ports: int, depth: int = 1000, client: str = BREAKER) -> str:
    """Return a configuration of the name web, which is at *ports*."""
    directory.mkdir(exist_ok=True)
    (directory / "web").write_text("".join(f"127.0.0.1 {port}\n" for port in ports))
    return FILES.format(root=directory, depth=depth, client=client)


def served(_: Received) -> bytes:
    return b"served"


# --- clients ---


def test_an_unchanged_client_keeps_its_connections(tmp_path: Path) -> None:
    with Downstream(served) as origin, Proxy(files(tmp_path / "a", origin.port)) as proxy:
        for depth in range(1, 4):
            get(proxy.port(), "web")
            renew(proxy, files(tmp_path / "a", origin.port, depth=depth))
        get(proxy.port(), "web")
        assert {one.connection for one in origin.requests} == {0}
        assert proxy.metrics()[f"{CLIENT}/requests"] == 4


def test_a_dead_endpoint_stays_dead(tmp_path: Path) -> None:
    dead = free_port()
    with Downstream(served) as origin, Proxy(files(tmp_path / "a", origin.port, dead)) as proxy:
        wait_until(lambda: get(proxy.port(), "web") and removals(proxy) == 1)
        renew(proxy, files(tmp_path / "a", origin.port, dead, depth=9))
        for _ in range(20):
            assert get(proxy.port(), "web").status == 200
        counted = proxy.metrics()
        assert counted[f"{CLIENT}/loadbalancer/available"] == 1
        assert counted[f"{CLIENT}/failures"] == 1


def removals(proxy: Proxy) -> float:
    return proxy.metrics()[f"{CLIENT}/failure_accrual/removals"]


def test_a_client_whose_settings_change_begins_anew(tmp_path: Path) -> None:
    """Nothing listens at one address: the new breaker does not know, and the old pool is closed."""
    dead = free_port()
    with Downstream(served) as origin, Proxy(files(tmp_path / "a", origin.port, dead)) as proxy:
        wait_until(lambda: get(proxy.port(), "web") and removals(proxy) == 1)
        never = "failureAccrual: {kind: none}"
        renew(proxy, files(tmp_path / "a", origin.port, dead, client=never))
        before = proxy.metrics()[f"{CLIENT}/failures"]
        wait_until(
            lambda: get(proxy.port(), "web") and proxy.metrics()[f"{CLIENT}/failures"] > before
        )
        assert removals(proxy) == 1
        assert {one.connection for one in origin.requests} == {0, 1}
        counted = proxy.metrics()
        assert counted[f"{CLIENT}/closes"] == 1
        assert counted["rt/http/bindcache/client/size"] == 1


@pytest.mark.parametrize("client", [BREAKER, "failureAccrual: {kind: none}"])
def test_a_body_on_its_way_arrives_whole(tmp_path: Path, client: str) -> None:
    """Whether or not the client that fetches it is wanted any more."""
    may_go_on = Event()

    def pieces(_: Received) -> Answer:
        def body() -> Iterator[bytes]:
            yield b"begun, "
            may_go_on.wait(10)
            yield b"ended"

        return Answer(body=body())

    with (
        Downstream(pieces) as origin,
        Proxy(files(tmp_path / "a", origin.port)) as proxy,
        WireClient(proxy.port()) as asking,
    ):
        asking.send(GET)
        wait_until(lambda: origin.requests)
        renew(proxy, files(tmp_path / "a", origin.port, client=client, depth=9))
        may_go_on.set()
        assert asking.read().body == b"begun, ended"
        assert asking.get("web").status == 200


def test_a_tunnel_goes_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as far:
        port = far.getsockname()[1]
        server = f"- {{port: 0, ip: 127.0.0.1, connectPorts: [{port}]}}"
        with (
            Proxy(config(port).replace(SERVER, server)) as proxy,
            WireClient(proxy.port()) as client,
        ):
            client.send(b"CONNECT web:%d HTTP/1.1\r\nHost: web:%d\r\n\r\n" % (port, port))
            end, _ = far.accept()
            with end:
                assert client.sock.recv(4096).startswith(b"HTTP/1.1 200 ")
                renew(proxy, config(1))
                client.send(b"there")
                assert end.recv(9) == b"there"
                end.sendall(b"back")
                assert client.sock.recv(9) == b"back"


def test_a_client_that_stays_reports_how_names_come_to_it_now(tmp_path: Path) -> None:
    trace = b"TRACE / HTTP/1.1\r\nHost: web\r\nMax-Forwards: 0\r\nl5d-add-context: true\r\n\r\n"
    with Downstream(served) as origin, Proxy(files(tmp_path / "a", origin.port)) as proxy:
        get(proxy.port(), "web")
        other = files(tmp_path / "a", origin.port)
        table = "/svc => /moved ; /moved => /#/io.l5d.fs"
        renew(proxy, other.replace("dtab: /svc => /#/io.l5d.fs", f"dtab: {table}"))
        with WireClient(proxy.port()) as client:
            client.send(trace)
            assert b"/moved/web (/svc=>/moved)" in client.read(b"TRACE").body
        get(proxy.port(), "web")
        assert {one.connection for one in origin.requests} == {0}


def test_a_client_follows_the_namer_that_was_changed(tmp_path: Path) -> None:
    """It keeps its connection to the address that both files have, and forgets the old file."""
    with Downstream(served) as one, Downstream(served) as two:
        with Proxy(files(tmp_path / "a", one.port)) as proxy:
            get(proxy.port(), "web")
            renew(proxy, files(tmp_path / "b", one.port))
            get(proxy.port(), "web")
            assert {request.connection for request in one.requests} == {0}
            files(tmp_path / "a", two.port)
            files(tmp_path / "b", one.port, two.port)
            wait_until(lambda: proxy.metrics()[f"{CLIENT}/loadbalancer/size"] == 2)
            files(tmp_path / "a", free_port())
            wait_until(lambda: get(proxy.port(), "web").status == 200 and two.requests)
        assert {request.connection for request in one.requests} == {0}


def test_names_in_dns_are_not_looked_up_again() -> None:
    with DnsServer() as dns, Downstream(served) as origin:
        dns.put("web.test", "127.0.0.1")
        text = config(origin.port).replace("inet/127.0.0.1", "inet/web.test")
        text += f"dns: {{nameservers: ['{dns.host}:{dns.port}']}}\n"
        with Proxy(text) as proxy:
            assert get(proxy.port(), "web").body == b"served"
            asked = dict(dns.asked)
            renew(proxy, text)
            assert get(proxy.port(), "web").body == b"served"
            assert dns.asked == asked
            renew(proxy, text.replace("]}", "], attempts: 2}"))
            assert get(proxy.port(), "web").body == b"served"
            wait_until(lambda: dns.asked != asked)


def test_counters_go_on_for_names_and_clients(tmp_path: Path) -> None:
    with Downstream(served) as origin, Proxy(files(tmp_path / "a", origin.port)) as proxy:
        for number in range(1, 4):
            get(proxy.port(), "web")
            limit = f"requestAttemptTimeoutMs: {1000 * number}"
            renew(proxy, files(tmp_path / "a", origin.port, client=limit))
            assert proxy.metrics()["rt/http/service/svc/web/requests"] == number
            assert proxy.metrics()[f"{CLIENT}/requests"] == number


def test_changed_certificates_are_read_again(tmp_path: Path) -> None:
    """The authority's file gets another content under its name."""
    right, wrong = (Certs(directory(tmp_path / name)) for name in ("right", "wrong"))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(wrong.bundle.read_bytes())
    tls = f"  client: {{tls: {{commonName: web.test, trustCerts: [{trusted}]}}}}"
    with Downstream(served, context=right.server("web.test")) as origin:
        text = config(origin.port, tls)
        with Proxy(text) as proxy:
            assert get(proxy.port(), "web").status == 502
            trusted.write_bytes(right.bundle.read_bytes())
            assert get(proxy.port(), "web").status == 502
            renew(proxy, text)
            assert get(proxy.port(), "web").body == b"served"
            renew(proxy, text)
            assert get(proxy.port(), "web").body == b"served"
        assert {one.connection for one in origin.requests} == {origin.requests[0].connection}


def directory(path: Path) -> Path:
    path.mkdir()
    return path


# --- servers ---


def test_open_connections_get_the_new_settings_from_their_next_request_on() -> None:
    fields = ("Via: 1.1 a, 1.1 b, 1.1 c",)
    with Downstream(served) as origin, Proxy(config(origin.port)) as proxy:
        with WireClient(proxy.port()) as client:
            assert client.get("web", "/", *fields).status == 200
            strict = "- {port: 0, ip: 127.0.0.1, maxCallDepth: 2}"
            renew(proxy, config(origin.port, "  maxHeaderCount: 2").replace(SERVER, strict))
            assert client.get("web", "/", *fields).status == 400
        with WireClient(proxy.port()) as client:
            assert client.get("web", "/", "A: 1", "B: 2").status == 431


def test_a_head_that_arrives_meanwhile_is_served_by_the_new_router() -> None:
    with (
        Downstream(served) as origin,
        Downstream(lambda _: b"new") as other,
        Proxy(config(origin.port)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.get("web")
        client.send(GET[:20])
        wait_until(lambda: is_busy(proxy))
        renew(proxy, config(other.port))
        client.send(GET[20:])
        assert client.read().body == b"new"


def is_busy(proxy: Proxy) -> bool:
    listener = next(iter(proxy.linker._listeners.values()))
    return any(connection.is_busy for connection in listener._connections)


def test_a_server_that_vanished_drains_and_a_new_one_serves() -> None:
    with SlowDownstream() as origin, Proxy(config(origin.port)) as proxy:
        old = proxy.port()
        new = free_port()
        with WireClient(old) as busy, WireClient(old) as idle:
            busy.send(GET)
            origin.wait_asked()
            renew(
                proxy,
                config(origin.port).replace(SERVER, f"- {{port: {new}, ip: 127.0.0.1}}"),
            )
            assert idle.read_to_end() == b""
            wait_until(lambda: refuses(old))
            origin.let_go()
            assert proxy.port() == new
            assert get(new, "web").body == b"finished"
            reply = busy.read()
            assert (reply.body, reply.get("connection")) == (b"finished", "close")


def test_a_server_that_vanished_has_the_grace_period_and_no_more() -> None:
    soon = "admin: {ip: 127.0.0.1, port: 0, shutdownGraceMs: 50}"
    with SlowDownstream() as origin:
        text = config(origin.port).replace(ADMIN, soon)
        with Proxy(text) as proxy, WireClient(proxy.port()) as client:
            client.send(GET)
            origin.wait_asked()
            renew(proxy, text.replace(SERVER, f"- {{port: {free_port()}, ip: 127.0.0.1}}"))
            assert client.read_to_end() == b""


def test_a_router_comes_and_goes() -> None:
    port = free_port()
    with Downstream(served) as origin, Proxy(config(origin.port)) as proxy:
        both = config(origin.port) + (
            f"- protocol: http\n  label: other\n  dtab: /svc/* => /$/inet/127.0.0.1/{origin.port}\n"
            f"  servers: [{{port: {port}, ip: 127.0.0.1}}]\n"
        )
        renew(proxy, both)
        assert get(port, "web").body == b"served"
        renew(proxy, config(origin.port))
        wait_until(lambda: refuses(port))
        assert not [name for name in proxy.metrics() if name.startswith("rt/other/client/")]
        renew(proxy, both)
        assert get(port, "web").body == b"served"
        assert {one.connection for one in origin.requests} == {0, 1}


def test_an_address_may_move_to_another_router() -> None:
    port = free_port()
    with Downstream(served) as origin, Downstream(lambda _: b"new") as other:
        fixed = config(origin.port).replace(SERVER, f"- {{port: {port}, ip: 127.0.0.1}}")
        moved = fixed.replace("protocol: http", "protocol: http\n  label: other").replace(
            str(origin.port), str(other.port)
        )
        with Proxy(fixed) as proxy, WireClient(port) as client:
            assert client.get("web").body == b"served"
            renew(proxy, moved)
            assert client.get("web").body == b"new"
            assert get(port, "web").body == b"new"
            shown = json.loads(get(proxy.linker.admin_port, "localhost", "/config.json").body)
            assert shown["routers"][0]["label"] == "other"
            counted = proxy.metrics()
            assert counted[f"rt/other/server/127.0.0.1/{port}/requests"] == 2
            assert counted[f"rt/http/server/127.0.0.1/{port}/requests"] == 1
            assert counted[f"rt/other/server/127.0.0.1/{port}/connects"] == 1
            assert counted[f"rt/http/server/127.0.0.1/{port}/connections"] == 1


def test_a_lower_limit_of_connections_holds_from_then_on() -> None:
    def limited(most: int) -> str:
        server = f"- {{port: 0, ip: 127.0.0.1, maxConnections: {most}}}"
        return config(origin.port).replace(SERVER, server)

    with Downstream(served) as origin, Proxy(limited(3)) as proxy:
        clients = [WireClient(proxy.port()) for _ in range(3)]
        for client in clients:
            assert client.get("web").status == 200
        renew(proxy, limited(2))
        waiting = WireClient(proxy.port())
        waiting.send(GET)
        clients.pop().close()
        assert clients[0].get("web").status == 200
        assert proxy.metrics()["rt/http/server/127.0.0.1/0/connects"] == 3
        renew(proxy, limited(3))
        assert waiting.read().status == 200
        for client in (*clients, waiting):
            client.close()


def test_a_certificate_is_renewed_and_open_connections_stay(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    chain, key = certs.files("web.test")
    secure = f"- {{port: 0, ip: 127.0.0.1, tls: {{certPath: {chain}, keyPath: {key}}}}}"
    with Downstream(served) as origin:
        text = config(origin.port).replace(SERVER, secure)
        with Proxy(text) as proxy:
            port = proxy.port()
            with WireClient(port, certs.client(), "web.test") as client:
                assert client.get("web").body == b"served"
                first = client.sock.getpeercert(binary_form=True)
                certs.files("web.test")
                renew(proxy, text)
                assert client.get("web").body == b"served"
            with WireClient(port, certs.client(), "web.test") as client:
                assert client.get("web").body == b"served"
                assert client.sock.getpeercert(binary_form=True) != first


def test_connections_end_when_the_server_is_to_speak_tls(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    chain, key = certs.files("web.test")
    secure = f"- {{port: 0, ip: 127.0.0.1, tls: {{certPath: {chain}, keyPath: {key}}}}}"
    with Downstream(served) as origin, Proxy(config(origin.port)) as proxy:
        with WireClient(proxy.port()) as client:
            client.get("web")
            renew(proxy, config(origin.port).replace(SERVER, secure))
            assert client.read_to_end() == b""
        with WireClient(proxy.port(), certs.client(), "web.test") as client:
            assert client.get("web").body == b"served"


def test_the_admin_server_moves() -> None:
    with Downstream(served) as origin, Proxy(config(origin.port)) as proxy:
        old, new = proxy.linker.admin_port, free_port()
        renew(proxy, config(origin.port).replace(ADMIN, f"admin: {{ip: 127.0.0.1, port: {new}}}"))
        assert proxy.linker.admin_port == new
        assert get(new, "localhost", "/admin/ping").body == b"pong"
        wait_until(lambda: refuses(old))


# --- what is beside the requests ---


def test_recent_requests_stay_and_an_exporter_that_changed_is_replaced() -> None:
    kept = "telemetry:\n- {kind: io.l5d.recentRequests, sampleRate: 1.0}\n"
    page = "- {{kind: io.l5d.prometheus, path: {path}}}\n"
    with Downstream(served) as origin:
        text = config(origin.port) + kept
        with Proxy(text + page.format(path="/one")) as proxy:
            get(proxy.port(), "first")
            renew(proxy, text + page.format(path="/two"))
            get(proxy.port(), "second")
            admin = proxy.linker.admin_port
            recent = get(admin, "localhost", "/requests").body
            assert b"/svc/first" in recent
            assert b"/svc/second" in recent
            assert (get(admin, "localhost", "/one").status, get(admin, "x", "/two").status) == (
                404,
                200,
            )


def test_a_changed_statsd_tells_nothing_twice() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, Downstream(served) as origin:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        port = sock.getsockname()[1]
        statsd = (
            "telemetry:\n- {{kind: io.l5d.statsd, experimental: true, port: {}, sampleRate: {}}}\n"
        )
        with Proxy(config(origin.port) + statsd.format(port, 0.5)) as proxy:
            for rate in (0.25, 0.125, 0.1):
                for _ in range(3):
                    get(proxy.port(), "web")
                renew(proxy, config(origin.port) + statsd.format(port, rate))
                proxy.linker._exporting.join()
            get(proxy.port(), "web")
        told = []
        sock.setblocking(0)
        try:
            while True:
                told += sock.recv(65536).decode().splitlines()
        except BlockingIOError:
            pass
        sums = [
            line for line in told if line.startswith("linkerd.rt.http.service.svc.web.requests:")
        ]
        assert sum(int(line.partition(":")[2].partition("|")[0]) for line in sums) == 10


def test_access_logs_are_opened_again_and_changed_ones_replaced(tmp_path: Path) -> None:
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    with Downstream(served) as origin:
        text = config(origin.port, f"  httpAccessLog: {one}")
        with Proxy(text) as proxy:
            get(proxy.port(), "web")
            wait_until(lambda: lines(one) == 1)
            one.rename(tmp_path / "moved.log")
            assert reload(proxy.linker, lambda: load(text, "same.yaml")) is None
            wait_until(one.exists)
            get(proxy.port(), "web")
            wait_until(lambda: lines(one) == 1)
            renew(proxy, text.replace(str(one), str(two)))
            get(proxy.port(), "web")
            wait_until(lambda: lines(two) == 1)
        assert (lines(one), lines(tmp_path / "moved.log")) == (1, 1)


def test_a_log_that_is_emptied_at_the_start_is_not_emptied_by_a_reload(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("from the process before\n")
    with Downstream(served) as origin:
        text = config(origin.port, f"  httpAccessLog: {log}\n  httpAccessLogAppend: false")
        with Proxy(text) as proxy:
            get(proxy.port(), "first")
            wait_until(lambda: lines(log) == 1)
            renew(proxy, text)
            get(proxy.port(), "second")
            wait_until(lambda: lines(log) == 2)


def lines(file: Path) -> int:
    return file.read_text().count("\n") if file.exists() else 0


def test_a_line_of_a_request_from_before_reaches_the_log_from_before(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    with SlowDownstream() as origin:
        text = config(origin.port, f"  httpAccessLog: {log}")
        with Proxy(text) as proxy, WireClient(proxy.port()) as client:
            client.send(GET)
            origin.wait_asked()
            renew(proxy, config(origin.port))
            origin.let_go()
            client.read()
        assert lines(log) == 1


def test_nothing_grows_from_reload_to_reload(tmp_path: Path) -> None:
    with Downstream(served) as origin, Proxy(files(tmp_path / "a", origin.port)) as proxy:

        def once(depth: int) -> tuple[int, int]:
            get(proxy.port(), "web")
            renew(proxy, files(tmp_path / "a", origin.port, depth=depth))
            wait_until(lambda: len(proxy.linker._retiring) == 0)
            gc.collect()
            generations = sum(isinstance(one, Generation) for one in gc.get_objects())
            return sum(1 for _ in proxy.linker.metrics.walk()), generations

        def descriptors() -> int:
            return sum(1 for _ in Path("/proc/self/fd").iterdir())

        first, open_first = once(1), descriptors()
        assert [once(depth) for depth in range(2, 7)] == [first] * 5
        wait_until(lambda: descriptors() <= open_first)


# --- what goes wrong ---


TLS = "tls: {certPath: CERT, keyPath: KEY}"
CLIENT_TLS = "  client: {tls: {commonName: x, trustCertsBundle: CERT}}"
UNSET = "namers: [{kind: io.l5d.k8s.ns, envVar: UNSET_HERE}]"
ELSEWHERE = "- {port: 1, ip: 203.0.113.1}"


@pytest.mark.parametrize(
    ("written", "instead", "why"),
    [
        pytest.param("127.0.0.1}\n", f"127.0.0.1, {TLS}}}\n", "server's TLS files", id="server"),
        pytest.param("port: 0}\n", f"port: 0, {TLS}}}\n", "server's TLS files", id="admin"),
        pytest.param("  servers:", f"{CLIENT_TLS}\n  servers:", "client's TLS", id="client"),
        pytest.param("routers:", f"{UNSET}\nrouters:", "UNSET_HERE", id="namer"),
        pytest.param(SERVER, f"{SERVER}\n  {ELSEWHERE}", "cannot listen on 203", id="address"),
    ],
)
def test_what_cannot_be_served_changes_nothing(
    tmp_path: Path, written: str, instead: str, why: str
) -> None:
    cert, own_key = Certs(tmp_path).files("proxy.test")
    instead = instead.replace("CERT", str(cert)).replace("KEY", str(own_key))
    with Downstream(served) as origin, Proxy(config(origin.port)) as proxy:
        get(proxy.port(), "web")
        before = proxy.metrics()
        loaded = load(config(origin.port).replace(written, instead), "new.yaml")
        cert.write_text("no certificate\n")
        with pytest.raises(CannotStart, match=why):
            proxy.linker.reload(loaded)
        after = proxy.metrics()
        names = [name for name in after if "bindcache" in name or "pool" in name]
        assert [after[name] for name in names] == [before[name] for name in names]
        assert after["rt/http/bindcache/path/size"] == 1
        assert after.keys() == before.keys()
        assert get(proxy.port(), "web").body == b"served"
        assert {one.connection for one in origin.requests} == {0}


def test_a_failure_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    def source() -> None:
        raise CannotStart("no way")

    with Proxy(config(1)) as proxy:
        assert reload(proxy.linker, source) == "no way"  # type: ignore[arg-type]
        assert reload(proxy.linker, lambda: load(config(1), "a.yaml")) is None
        counted = proxy.metrics()
    assert (counted["reload/failed"], counted["reload/ok"]) == (1, 1)
    assert "not reloaded, the configuration before is still served:\nno way" in caplog.text
