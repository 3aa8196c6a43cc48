"""How long connections live, as clients and endpoints see it."""

from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc/* => /$/inet/127.0.0.1/{port} ;
  {client}
  servers:
  - {{port: 0, ip: 127.0.0.1, {server}}}
"""


SERVER = "rt/http/server/127.0.0.1/0"
ENDINGS = ("idle", "lifetime", "write_timeout")


def endings(proxy: Proxy) -> dict[str, float]:
    metrics = proxy.metrics()
    return {name: metrics[f"{SERVER}/{name}"] for name in ENDINGS}


def plain(_: Received) -> Answer:
    return Answer(body=b"x")


def config(port: int, server: str = "", client: str = "") -> str:
    return CONFIG.format(port=port, server=server, client=client)


def test_an_idle_client_is_closed_after_its_time() -> None:
    with (
        Downstream(plain) as origin,
        Proxy(config(origin.port, "serverSession: {idleTimeMs: 100}")) as proxy,
        WireClient(proxy.port()) as client,
    ):
        assert client.get("a").status == 200
        assert client.sock.recv(1) == b""
        wait_until(lambda: endings(proxy) == {"idle": 1, "lifetime": 0, "write_timeout": 0})


def test_a_connection_ends_with_the_response_after_its_life() -> None:
    with (
        Downstream(plain) as origin,
        Proxy(config(origin.port, "serverSession: {lifeTimeMs: 1}")) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\n")
        client.send(b"Host: a\r\n\r\n")
        reply = client.read()
        assert reply.get("connection") == "close"
        assert client.sock.recv(1) == b""
        wait_until(lambda: endings(proxy) == {"idle": 0, "lifetime": 1, "write_timeout": 0})


def test_a_connection_past_its_life_without_a_request_is_closed_for_its_age() -> None:
    with (
        Downstream(plain) as origin,
        Proxy(config(origin.port, "serverSession: {lifeTimeMs: 50}")) as proxy,
        WireClient(proxy.port()) as client,
    ):
        assert client.sock.recv(1) == b""
        wait_until(lambda: endings(proxy) == {"idle": 0, "lifetime": 1, "write_timeout": 0})


def test_a_client_that_does_not_read_is_counted() -> None:
    limit = "socketOptions: {writeTimeoutMs: 100}"
    with (
        Downstream(lambda _: Answer(body=b"x" * 50_000_000)) as origin,
        Proxy(config(origin.port, limit)) as proxy,
        WireClient(proxy.port()) as client,
    ):
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: endings(proxy) == {"idle": 0, "lifetime": 0, "write_timeout": 1})


def test_a_connection_that_its_client_or_a_drain_ends_is_not_counted() -> None:
    with Downstream(plain) as origin, Proxy(config(origin.port)) as proxy:
        with WireClient(proxy.port()) as client:
            assert client.get("a").status == 200
        with WireClient(proxy.port()) as client:
            assert client.get("a").status == 200
            proxy.linker.close()
            assert client.sock.recv(1) == b""
        scope = proxy.linker.metrics.scope(*SERVER.split("/", 3))
        assert [scope.counter(name).value for name in ENDINGS] == [0, 0, 0]


def test_an_endpoint_connection_past_its_life_is_not_used_again() -> None:
    with (
        Downstream(plain) as origin,
        Proxy(config(origin.port, client="client: {clientSession: {lifeTimeMs: 1}}")) as proxy,
        WireClient(proxy.port()) as client,
    ):
        scope = f"rt/http/client/$/inet/127.0.0.1/{origin.port}"
        assert client.get("a").status == 200
        wait_until(lambda: proxy.metrics()[f"{scope}/lifetime"] == 1)
        assert client.get("a").status == 200
        assert proxy.metrics()[f"{scope}/connects"] == 2


def test_a_full_pool_refuses_who_may_not_wait() -> None:
    limits = "client: {hostConnectionPool: {maxSize: 1, maxWaiters: 0}}"
    with (
        Downstream(plain) as origin,
        Proxy(config(origin.port, client=limits)) as proxy,
        WireClient(proxy.port()) as first,
        WireClient(proxy.port()) as second,
    ):
        first.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx")
        scope = f"rt/http/client/$/inet/127.0.0.1/{origin.port}"
        wait_until(lambda: proxy.metrics().get(f"{scope}/connections") == 1)
        reply = second.get("a")
        assert (reply.status, reply.get("l5d-retryable")) == (503, "true")
        first.send(b"y")
        assert first.read(b"POST").status == 200
