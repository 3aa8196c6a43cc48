"""Addresses are taken by one process for many, and by one proxy only."""

from collections.abc import Iterator

import pytest

from meshproxy.config.load import load
from meshproxy.config.schema import LinkerConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.runtime.addresses import Addresses, server_ports, worker_config
from meshproxy.runtime.listen_addresses import ListenAddress
from meshproxy.server.listening import listen
from tests.kit.wire import dial

SHARED = SocketOptionsConfig(reuse_port=True)


def config(*ports: int, admin: str = "", router: str = "") -> LinkerConfig:
    """Return a router with servers at *ports*."""
    servers = "".join(f"  - {{port: {port}, ip: 127.0.0.1}}\n" for port in ports)
    return load(
        f"admin: {{port: 0{admin}}}\ntelemetry:\n- kind: io.l5d.prometheus\n"
        "- {kind: io.l5d.recentRequests, sampleRate: 1.0}\n"
        f"routers:\n- protocol: http\n  dtab: /svc => /x\n{router}  servers:\n{servers}",
        "a.yaml",
    )


@pytest.fixture
def addresses() -> Iterator[Addresses]:
    taken = Addresses({})
    yield taken
    taken.close()


def test_whoever_listens_beside_gets_all_connections(addresses: Addresses) -> None:
    (port,) = server_ports(config(0), addresses.take(config(0)))["http"]
    with pytest.raises(ConnectionRefusedError):
        dial(("127.0.0.1", port))
    with listen(("127.0.0.1", port), SHARED) as one, listen(("127.0.0.1", port), SHARED) as two:
        clients = [dial(("127.0.0.1", port)) for _ in range(30)]
        accepted = 0
        for listener in (one, two):
            listener.settimeout(0)
            while True:
                try:
                    listener.accept()[0].close()
                except BlockingIOError:
                    break
                accepted += 1
        assert accepted == 30
        for client in clients:
            client.close()


@pytest.mark.parametrize("option", [True, False], ids=["with SO_REUSEPORT", "without"])
def test_an_address_in_use_is_refused_and_none_is_kept(addresses: Addresses, option: bool) -> None:
    with listen(("127.0.0.1", 0), SocketOptionsConfig(reuse_port=option)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}: Address already in use"):
            addresses.take(config(0, port))
    ports = addresses.take(config(port))
    assert set(ports.values()) == {port}


def test_two_proxies_cannot_take_the_same(addresses: Addresses) -> None:
    (port,) = addresses.take(config(0)).values()
    with pytest.raises(OSError, match="Address already in use"):
        Addresses({}).take(config(port))


def test_what_two_configurations_share_is_never_let_go(addresses: Addresses) -> None:
    first = addresses.take(config(0))
    second = addresses.take(config(0, 0))
    assert second.items() >= first.items()
    assert len(set(second.values())) == 2
    addresses.keep(config(0))
    assert addresses.take(config(0)) == first
    (gone,) = second.keys() - first.keys()
    with listen(("127.0.0.1", second[gone]), SocketOptionsConfig()) as free:
        assert free.getsockname()[1] == second[gone]


def test_sockets_opened_by_somebody_else_are_shared_as_they_are() -> None:
    theirs = listen(("127.0.0.1", 0), SocketOptionsConfig())
    address = theirs.getsockname()
    inherited = {address: theirs}
    addresses = Addresses(inherited)
    ports = addresses.take(config(address[1]))
    assert (set(ports.values()), inherited) == ({address[1]}, {})
    assert addresses.listening == {address: theirs}
    addresses.keep(config(0))
    assert addresses.listening == {}
    assert theirs.fileno() == -1
    addresses.close()


def test_a_worker_gets_the_ports_and_reports_nothing_itself(addresses: Addresses) -> None:
    log = "  httpAccessLog: /a\n  httpAccessLogRollPolicy: daily\n  httpAccessLogAppend: false\n"
    written = config(0, 0, admin=", httpIdentifierPort: 0", router=log)
    ports = addresses.take(written)
    served = worker_config(written, ports, 9990)
    router = served.routers[0]
    assert [server.port for server in router.servers] == server_ports(written, ports)["http"]
    assert all(server.socket_options == SHARED for server in router.servers)
    assert served.admin.port == 9990
    assert served.admin.http_identifier_port == ports[ListenAddress("127.0.0.1", 0, "identifier")]
    assert [one.kind for one in served.telemetry] == ["io.l5d.recentRequests"]
    assert router.http_access_log_roll_policy == "never"
    assert router.http_access_log_append


def test_past_connections_do_not_keep_an_address(addresses: Addresses) -> None:
    with listen(("127.0.0.1", 0), SocketOptionsConfig()) as before:
        address = before.getsockname()
        client = dial(address)
        before.accept()[0].close()  # whoever closes first has to wait
        client.recv(1)
        client.close()
    assert set(addresses.take(config(address[1])).values()) == {address[1]}
