"""Services by their SRV records, asked of a real bind9 and of servers that fail."""

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import pytest

from meshproxy.config.decode import ConfigErrors
from meshproxy.config.load import load
from meshproxy.discovery.dns import DnsResolver
from meshproxy.discovery.dns_lookup import DnsSettings
from meshproxy.discovery.dns_query import Server
from meshproxy.metrics.tree import Tree
from meshproxy.namers.dnssrv import LEAST_WEIGHT, DnsSrvNamer, DnsSrvNamerConfig, by_priority
from meshproxy.naming.addr import Address
from meshproxy.naming.services import ServiceRecord
from tests.kit.daemons import Named, find
from tests.kit.deps import namer_deps
from tests.kit.dns import DnsServer, Fault
from tests.kit.k8s import wait_until
from tests.kit.objects import objects
from tests.kit.rebinding import Rebinding
from tests.kit.wire import free_port

WEB = "_http._tcp.web.test"
BOUND = f"/#/io.l5d.dnssrv/{WEB}"


class World:
    """A namer that asks a server on *port* of 127.0.0.1, and what it counts."""

    def __init__(self, directory: FilePath, port: int, **keys: Any) -> None:
        self.metrics = Tree()
        settings = DnsSettings(
            nameservers=(Server("127.0.0.1", port),),
            resolv_conf=str(directory / "resolv.conf"),
            hosts=str(directory / "hosts"),
            query_timeout_s=0.2,
            attempts=1,
            min_ttl_s=1,
        )
        config = DnsSrvNamerConfig(experimental=True, refresh_interval_seconds=1, **keys)
        resolver = DnsResolver(settings, self.metrics, has_ipv6=lambda: False)
        deps = namer_deps(config.full_prefix(), metrics=self.metrics, resolver=resolver)
        self.namer: DnsSrvNamer = config.build(deps)

    def count(self, *names: str) -> float:
        """Return a counter of the namer."""
        return self.metrics.counter("#/io.l5d.dnssrv", *names).value


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer() as serving:
        serving.put("a.test", "10.0.0.1", ttl=1)
        serving.put("b.test", "10.0.0.2", ttl=1)
        yield serving


@pytest.fixture
def world(server: DnsServer, tmp_path: FilePath) -> World:
    return World(tmp_path, server.port)


@pytest.mark.skipif(find("named") is None, reason="needs bind9")
def test_records_of_a_real_server_are_followed(tmp_path: FilePath) -> None:
    port = free_port()
    with Named(tmp_path, 1, port) as named:
        named.know({"a.test": "10.0.0.1", "b.test": "10.0.0.2"})
        world = World(tmp_path, port)
        with Rebinding(world.namer, f"/{WEB}/rest") as web:
            web.wait_for("neg")
            hosts = {"a.test": "10.0.0.1", "b.test": "10.0.0.2"}
            main, backup = f"{WEB}. SRV 0 3 80 a.test.", f"{WEB}. SRV 10 1 81 b.test."
            named.know(hosts, main, backup)
            web.wait_for(BOUND, "/rest", "10.0.0.1:80*3")
            named.know({"a.test": "10.0.0.1", "b.test": "10.0.0.2"}, backup)
            web.wait_for(BOUND, "/rest", "10.0.0.2:81*1")
            named.know(hosts, *(f"{WEB}. SRV 0 1 {port} a.test." for port in range(1, 91)))
            wait_until(lambda: len(web.seen) == 92)
            named.know(hosts)
            web.wait_for("neg")


def test_the_lowest_priority_that_has_addresses_is_used(server: DnsServer, world: World) -> None:
    server.put(WEB, "0 1 80 absent.test.", "5 1 81 a.test.", "9 1 82 b.test.", ttl=1, kind="SRV")
    with Rebinding(world.namer, f"/{WEB}") as web:
        web.wait_for(BOUND, "/", "10.0.0.1:81*1")
        assert world.count("unknown_srv_hosts_results_total") >= 1
        server.put("absent.test", "10.0.0.9", ttl=1)
        web.wait_for(BOUND, "/", "10.0.0.9:80*1")


def test_without_any_address_the_name_is_negative(server: DnsServer, world: World) -> None:
    server.put(WEB, "0 1 80 absent.test.", ttl=1, kind="SRV")
    with Rebinding(world.namer, f"/{WEB}") as web:
        web.wait_for("neg")
        assert world.count("lookup_successes_total") >= 1


FAULTS: list[Fault] = ["servfail", "refused", "stall", "garbage", "wrong question", "truncate both"]


@pytest.mark.parametrize("fault", FAULTS)
def test_while_no_server_can_say_the_last_records_stay(
    server: DnsServer, world: World, fault: Fault
) -> None:
    server.put(WEB, "0 1 80 a.test.", ttl=1, kind="SRV")
    with Rebinding(world.namer, f"/{WEB}") as web:
        web.wait_for(BOUND, "/", "10.0.0.1:80*1")
        server.faults[WEB] = fault
        wait_until(lambda: world.count("lookup_failures_total") >= 1)
        assert world.count("unexpected_code_total") == (fault in ("servfail", "refused"))
        assert web.seen == (BOUND, "/", "10.0.0.1:80*1")
        server.put(WEB, "0 1 81 b.test.", ttl=1, kind="SRV")
        del server.faults[WEB]
        web.wait_for(BOUND, "/", "10.0.0.2:81*1")


def test_without_a_first_answer_the_name_is_negative(server: DnsServer, world: World) -> None:
    server.put(WEB, "0 1 80 a.test.", ttl=1, kind="SRV")
    server.faults[WEB] = "servfail"
    with Rebinding(world.namer, f"/{WEB}") as web:
        web.wait_for("neg")
        del server.faults[WEB]
        web.wait_for(BOUND, "/", "10.0.0.1:80*1")


def test_a_name_that_is_gone_is_negative(server: DnsServer, world: World) -> None:
    server.put(WEB, "0 1 80 a.test.", ttl=1, kind="SRV")
    with Rebinding(world.namer, f"/{WEB}") as web:
        web.wait_for(BOUND, "/", "10.0.0.1:80*1")
        server.put(WEB, kind="SRV")
        del server.records[WEB]
        web.wait_for("neg")
        assert world.count("lookup_zero_results_total") >= 1


def test_a_longer_ttl_is_kept_to(server: DnsServer, world: World) -> None:
    server.put(WEB, "0 1 80 a.test.", ttl=60, kind="SRV")
    server.put("short.test", "0 1 80 a.test.", ttl=1, kind="SRV")
    with Rebinding(world.namer, f"/{WEB}") as web, Rebinding(world.namer, "/short.test"):
        web.wait_for(BOUND, "/", "10.0.0.1:80*1")
        wait_until(lambda: server.asked["short.test", "SRV", "udp"] == 3)
        assert server.asked[WEB, "SRV", "udp"] == 1


def test_other_name_servers_may_know_the_records(server: DnsServer, tmp_path: FilePath) -> None:
    with DnsServer() as other:
        other.put(WEB, "0 1 80 a.test.", ttl=1, kind="SRV")
        world = World(tmp_path, server.port, dns_hosts=(f"127.0.0.1:{other.port}",))
        with Rebinding(world.namer, f"/{WEB}") as web:
            web.wait_for(BOUND, "/", "10.0.0.1:80*1")


NO_NAMES = ["/", "/10.0.0.1", "/a b", r"/\xff", "/1.2", "/a..b"]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_cannot_be_a_name_is_negative_and_not_asked_for(
    server: DnsServer, world: World, name: str
) -> None:
    path = name if name != "/a b" else r"/a\x20b"
    with Rebinding(world.namer, path) as followed:
        assert followed.seen == "neg"
    assert not server.asked


def test_the_state_is_shown_by_name(server: DnsServer, world: World) -> None:
    server.put(WEB, "0 1 80 a.test.", ttl=1, kind="SRV")
    with Rebinding(world.namer, f"/{WEB.upper()}.") as web:
        web.wait_for(f"/#/io.l5d.dnssrv/{WEB.upper()}.", "/", "10.0.0.1:80*1")
        shown = world.namer.describe()[WEB]
        assert [one.name for one in world.namer.followed()] == [WEB]
        record = {"priority": 0, "weight": 1, "host": "a.test", "port": 80}
        assert shown["state"]["value"] == [record]
        assert shown["poll"]["request"] == f"SRV {WEB}"


def test_weights_are_shares_within_a_priority() -> None:
    some = [ServiceRecord(1, 0, "10.0.0.1", 1), ServiceRecord(1, 4, "10.0.0.2", 1)]
    none = [ServiceRecord(0, 0, "10.0.0.3", 1), ServiceRecord(0, 0, "10.0.0.4", 1)]
    alike, weighed = by_priority((*some, *none))
    assert alike.literal == {Address("10.0.0.3", 1), Address("10.0.0.4", 1)}
    assert weighed.literal == {
        Address("10.0.0.1", 1, LEAST_WEIGHT),
        Address("10.0.0.2", 1, 4),
    }


def test_hundreds_of_names_that_come_and_go_leave_nothing(server: DnsServer, world: World) -> None:
    def round_of(names: int) -> None:
        followed = [Rebinding(world.namer, f"/s{number}.test") for number in range(names)]
        for one in followed:
            wait_until(lambda at=one: at.seen not in ("pending", "neg"))
            one.close()

    for number in range(300):
        server.put(f"s{number}.test", "0 1 80 a.test.", ttl=60, kind="SRV")
    round_of(300)
    before = objects()
    round_of(300)
    wait_until(lambda: objects() - before < 150)
    assert world.namer.describe() == {}


WRONG = [
    ("refreshIntervalSeconds: 0", "0 is too small"),
    ('dnsHosts: ["ns.test:x"]', r"dnsHosts\[0\]: 'ns.test:x' is no host"),
    ("dnsHosts: [10.0.0.1, a b]", r"dnsHosts\[1\]: 'a b' is no host"),
]


@pytest.mark.parametrize(("keys", "what"), WRONG)
def test_wrong_keys_are_refused(keys: str, what: str) -> None:
    text = f"""
namers: [{{kind: io.l5d.dnssrv, experimental: true, {keys}}}]
routers: [{{protocol: http, servers: [{{port: 0}}]}}]
"""
    with pytest.raises(ConfigErrors, match=what):
        load(text, "test.yaml")


def test_how_often_a_name_was_asked_for_is_shown_while_it_is_in_use(
    server: DnsServer, tmp_path: FilePath
) -> None:
    server.put(WEB, "0 0 80 a.test.", ttl=1, kind="SRV")
    world = World(tmp_path, server.port)
    own = world.metrics.scope("#/io.l5d.dnssrv")
    with Rebinding(world.namer, f"/{WEB}"):
        wait_until(lambda: world.count("lookup_successes_total") == 2)
        assert own.gauge("lookup_dns", "iteration", WEB).read() == 2
    wait_until(lambda: "lookup_dns" not in own.scopes)
