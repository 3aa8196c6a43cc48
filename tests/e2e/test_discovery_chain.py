"""One name that six discovery systems know: they lose it, and get it back, one by one."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kit.consul import ConsulAgent
from tests.kit.dns import DnsServer
from tests.kit.downstream import Downstream
from tests.kit.k8s import KubeApi, wait_until
from tests.kit.marathon import Marathon
from tests.kit.proxy import Proxy
from tests.kit.wire import get
from tests.kit.zookeeper import ZooKeeper, member, needs_zookeeper

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: ["127.0.0.1:{dns}"], minTtlSecs: 1, maxTtlSecs: 1}}
namers:
- {{kind: io.l5d.serversets, zkAddrs: [{{host: 127.0.0.1, port: {zk}}}]}}
- {{kind: io.l5d.consul, host: 127.0.0.1, port: {consul}}}
- {{kind: io.l5d.marathon, host: 127.0.0.1, port: {marathon}, ttlMs: 100, jitterMs: 10}}
- {{kind: io.l5d.k8s, host: 127.0.0.1, port: {k8s}}}
- {{kind: io.l5d.fs, rootDir: {fs}}}
routers:
- protocol: http
  dtab: |
    /dns      => /$/inet ;
    /dns/web  => /$/inet/web.test/{fallback} ;
    /zk       => /#/io.l5d.serversets/discovery ;
    /consul   => /#/io.l5d.consul/dc1 ;
    /marathon => /#/io.l5d.marathon ;
    /k8s      => /#/io.l5d.k8s/default/http ;
    /fs       => /#/io.l5d.fs ;
    /svc => /dns ; /svc => /zk ; /svc => /consul ; /svc => /marathon ; /svc => /k8s ; /svc => /fs ;
  servers: [{{port: 0, ip: 127.0.0.1}}]
"""


class System(NamedTuple):
    """How a discovery system learns of the service, and forgets it."""

    name: str
    add: Callable[[int], object]
    remove: Callable[[], object]


@pytest.fixture
def chain(zookeeper: ZooKeeper, tmp_path: Path) -> Iterator[tuple[list[System], str]]:
    """The systems, the first one in the dtab first, and the configuration that uses them."""
    with ConsulAgent() as consul, Marathon() as marathon, KubeApi() as k8s, DnsServer() as dns:
        file, ids = tmp_path / "web", {}
        dns.put("web.test", "127.0.0.1", ttl=1)

        def register(port: int) -> None:
            ids["web"] = consul.register("web", "127.0.0.1", port)

        systems = [
            System("fs", lambda port: file.write_text(f"127.0.0.1 {port}\n"), file.unlink),
            System(
                "k8s",
                lambda port: k8s.publish("web", "127.0.0.1", port=port),
                lambda: k8s.withdraw("web"),
            ),
            System(
                "marathon",
                lambda port: marathon.run("/web", ("127.0.0.1", port)),
                lambda: marathon.destroy("/web"),
            ),
            System("consul", register, lambda: consul.deregister(ids["web"])),
            System(
                "zk",
                lambda port: zookeeper.put({"/discovery/web/member_1": member(port)}),
                lambda: zookeeper.put({"/discovery/web/member_1": None}),
            ),
        ]
        with Downstream(lambda _: b"dns") as last:
            text = CONFIG.format(
                dns=dns.port, zk=zookeeper.port, consul=consul.port, marathon=marathon.port,
                k8s=k8s.port, fs=tmp_path, fallback=last.port,
            )  # fmt: skip
            yield systems, text


@needs_zookeeper
def test_a_name_is_looked_for_in_one_system_after_the_other(
    chain: tuple[list[System], str],
) -> None:
    systems, text = chain
    with ExitStack() as stack:
        ports = {
            system.name: stack.enter_context(
                Downstream(lambda _, name=system.name: name.encode())
            ).port
            for system in systems
        }
        for system in systems:
            system.add(ports[system.name])
        proxy = stack.enter_context(Proxy(text))

        def wait_answer(name: str) -> None:
            wait_until(lambda: get(proxy.port(), "web").body == name.encode(), 20)

        order = [*(system.name for system in systems), "dns"]
        for number, system in enumerate(systems):
            wait_answer(order[number])
            system.remove()
            wait_answer(order[number + 1])
        for system in reversed(systems):
            system.add(ports[system.name])
            wait_answer(system.name)
        page = get(proxy.linker.admin_port, "localhost", "/discovery.json").body
        known = {row["source"]: row["answer"] for row in json.loads(page)["names"]}
        sources = ["DNS", "/#/io.l5d.serversets", "/#/io.l5d.consul", "/#/io.l5d.marathon"]
        kubernetes = next(source for source in known if source.startswith("Kubernetes API "))
        assert all(known[source] for source in (*sources, kubernetes, "/#/io.l5d.fs"))
