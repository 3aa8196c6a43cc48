"""Servers are announced in a real ZooKeeper while they listen, and not for longer."""

import json
import signal
from collections.abc import Sequence
from pathlib import Path as FilePath

import gevent

from meshproxy.config.load import load, read
from meshproxy.discovery.interfaces import up_addresses
from tests.e2e.test_command import Serving
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import get, refuses
from tests.kit.zookeeper import ZooKeeper, needs_zookeeper

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
namers:
- kind: io.l5d.serversets
  zkAddrs: &zk [{{host: 127.0.0.1, port: {zookeeper}}}]
routers:
- protocol: http
  dtab: |
    /svc => /$/inet/127.0.0.1/{origin} ;
    /svc => /#/io.l5d.serversets/prod ;
  announcers:
  - kind: io.l5d.serversets
    zkAddrs: *zk
    pathPrefix: /prod
  servers:
  - port: 0
    ip: {ip}
    announce: [{names}]
"""


def config(
    zookeeper: ZooKeeper, *names: str, origin: int = 1, ip: str = "127.0.0.1", more: str = ""
) -> str:
    full = [f"/#/io.l5d.serversets/{name}" for name in names]
    text = CONFIG.format(
        zookeeper=zookeeper.port, origin=origin, ip=ip, names=json.dumps(full)[1:-1]
    )
    return text + more


def ports(zookeeper: ZooKeeper, name: str) -> list[int]:
    """Return the ports that are announced as *name*."""
    said = [json.loads(data) for data in zookeeper.members(f"/prod/{name}")]
    return sorted(one["serviceEndpoint"]["port"] for one in said)


def wait_ports(zookeeper: ZooKeeper, name: str, expected: Sequence[int]) -> None:
    wait_until(lambda: ports(zookeeper, name) == list(expected), 20)


@needs_zookeeper
def test_one_proxy_finds_another_that_announces_itself(zookeeper: ZooKeeper) -> None:
    with Downstream(lambda _: b"served") as origin:
        announced = Proxy(config(zookeeper, "a1/inner", origin=origin.port))
        with Proxy(config(zookeeper, "a1/outer")) as outer:
            wait_ports(zookeeper, "a1/inner", [announced.port()])
            asked = outer.port()
            wait_until(lambda: get(asked, "web", "/").status == 502)
            text = config(zookeeper, "a1/outer").replace("/prod ;", "/prod/a1/inner ;")
            outer.linker.reload(load(text, "test.yaml"))
            wait_until(lambda: get(asked, "web").body == b"served")
            announced.close()
            assert ports(zookeeper, "a1/inner") == []
            wait_until(lambda: get(asked, "web").status == 502)
            assert outer.metrics()["announcer/#/io.l5d.serversets/registrations"] == 1
        assert ports(zookeeper, "a1/outer") == []


@needs_zookeeper
def test_a_reload_withdraws_and_adds_and_leaves_the_rest_alone(zookeeper: ZooKeeper) -> None:
    with Proxy(config(zookeeper, "a2/kept", "a2/gone")) as proxy:
        wait_ports(zookeeper, "a2/kept", [proxy.port()])
        wait_ports(zookeeper, "a2/gone", [proxy.port()])
        with zookeeper.client() as client:
            before = client.get_children("/prod/a2/kept")
            proxy.linker.reload(load(config(zookeeper, "a2/kept", "a2/new"), "test.yaml"))
            wait_ports(zookeeper, "a2/new", [proxy.port()])
            assert ports(zookeeper, "a2/gone") == []
            assert client.get_children("/prod/a2/kept") == before


@needs_zookeeper
def test_the_listener_stays_open_until_all_is_withdrawn(zookeeper: ZooKeeper) -> None:
    with Downstream(lambda _: b"served") as origin:
        proxy = Proxy(config(zookeeper, "a3", origin=origin.port))
        wait_ports(zookeeper, "a3", [proxy.port()])
        port = proxy.port()
        zookeeper.signal(signal.SIGSTOP)
        try:
            closing = gevent.spawn(proxy.linker.close)
            wait_until(lambda: proxy.linker.readiness.is_ending)
            assert get(port, "web").body == b"served"
            assert not closing.ready()
        finally:
            zookeeper.signal(signal.SIGCONT)
        closing.join()
        assert refuses(port)
        wait_ports(zookeeper, "a3", [])


@needs_zookeeper
def test_a_server_on_every_address_is_announced_by_each_but_loopback(zookeeper: ZooKeeper) -> None:
    with Proxy(config(zookeeper, "a4", ip="0.0.0.0")) as proxy:
        expected = sorted(host for host in up_addresses() if not host.startswith("127."))
        if expected:
            wait_ports(zookeeper, "a4", [proxy.port()] * len(expected))
        said = [json.loads(data)["serviceEndpoint"] for data in zookeeper.members("/prod/a4")]
        assert sorted(one["host"] for one in said) == expected


@needs_zookeeper
def test_workers_are_announced_once_by_their_supervisor(
    zookeeper: ZooKeeper, tmp_path: FilePath
) -> None:
    text = config(zookeeper, "a5", more="workers: 2\n")
    serving = Serving(text, tmp_path)
    with serving.daemon:
        wait_ports(zookeeper, "a5", [serving.port])
        serving.reload(config(zookeeper, "a5", "a5/more", more="workers: 2\n"))
        wait_ports(zookeeper, "a5/more", [serving.port])
        assert serving.metrics()["announcer/#/io.l5d.serversets/registrations"] == 2
    assert ports(zookeeper, "a5") == []


def test_a_name_that_no_announcer_covers_is_warned_of() -> None:
    text = """
routers:
- protocol: http
  servers: [{port: 0, announce: [/#/io.l5d.other/web]}]
"""
    (warning,) = [one for one in read(text, "test.yaml").warnings if "announce" in str(one)]
    assert "servers[0].announce[0]: has no effect, no announcer" in str(warning)
