"""The DnsResolver: what observers see while DNS changes, fails and recovers."""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from gevent import socket
from gevent.queue import Queue

from meshproxy.discovery import dns as dns_module
from meshproxy.discovery.dns import DnsResolver
from meshproxy.discovery.dns_lookup import DnsSettings
from meshproxy.discovery.dns_query import QueryFailed, Server, UnexpectedCode
from meshproxy.metrics.instruments import Counter, Gauge, Stat
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import (
    ADDR_NEG,
    ADDR_PENDING,
    Addr,
    AddrBound,
    Address,
    AddrFailed,
)
from meshproxy.naming.services import Services
from meshproxy.var import Var
from tests.kit.clock import FakeClock
from tests.kit.dns import DnsServer, Fault
from tests.kit.k8s import wait_until
from tests.kit.wire import WAIT_S

QUICK = {"min_ttl_s": 0.05, "max_ttl_s": 0.05, "max_negative_ttl_s": 0.05}
"""Every answer holds for 50 ms, whatever its TTL."""
Make = Callable[..., DnsResolver]


@pytest.fixture(name="resolver")
def _resolver(tmp_path: Path) -> Make:
    """Build a DnsResolver that asks the given server and reads no file of this machine."""

    def make(
        *servers: DnsServer,
        metrics: Tree | None = None,
        clock: Callable[[], float] = time.monotonic,
        ipv6: bool = False,
        **settings: object,
    ) -> DnsResolver:
        made = DnsSettings(
            nameservers=tuple(Server(server.host, server.port) for server in servers),
            resolv_conf=str(tmp_path / "resolv.conf"),
            hosts=str(tmp_path / "hosts"),
            **settings,  # type: ignore[arg-type]
        )
        return DnsResolver(made, metrics or Tree(), now=clock, has_ipv6=lambda: ipv6)

    return make


class Seen:
    """Everything that an observer was told, in order."""

    def __init__(self, var: Var[Addr]) -> None:
        self.queue: Queue = Queue()
        self.close = var.observe(self.queue.put)

    def next(self) -> Addr:
        """Wait for the next value."""
        return self.queue.get(timeout=WAIT_S)

    def settled(self) -> Addr:
        """Wait for the next value that is not pending."""
        value = self.next()
        return self.next() if value == ADDR_PENDING else value


@contextmanager
def watching(var: Var[Addr]) -> Iterator[Seen]:
    seen = Seen(var)
    try:
        yield seen
    finally:
        seen.close()


def bound(*hosts: str, port: int = 80) -> AddrBound:
    return AddrBound(frozenset(Address(host, port) for host in hosts))


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("10.0.0.1", "80", bound("10.0.0.1")),
        ("[::1]", "80", bound("::1")),
        ("::1", "80", bound("::1")),
        ("", "80", bound("127.0.0.1")),
        ("localhost", "80", bound("127.0.0.1")),
        ("LocalHost", "*", bound("127.0.0.1", port=0)),
        ("10.0.0.1", "65535", bound("10.0.0.1", port=65535)),
        ("10.0.0.1", "65536", AddrFailed("65536 is not a port")),
        ("10.0.0.1", "-1", AddrFailed("-1 is not a port")),
        ("10.0.0.1", "http", AddrFailed("http is not a port")),
        ("10.0.0.1", "", AddrFailed(" is not a port")),
        ("10.0.0.1", "٣", AddrFailed("٣ is not a port")),
        ("127.1", "80", AddrFailed("127.1 is not an IPv4 address in dotted form")),
        ("0x7f000001", "80", AddrFailed("0x7f000001 is not an IPv4 address in dotted form")),
        ("a..b", "80", AddrFailed("a..b is not a host name")),
    ],
)
def test_some_hosts_need_no_lookup(resolver: Make, host: str, port: str, expected: Addr) -> None:
    with DnsServer() as server:
        assert resolver(server).resolve(host, port).sample() == expected
        assert not server.asked


def test_every_address_gets_the_port(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1", "10.0.0.2")
        with watching(resolver(server).resolve("web.test", "8080")) as seen:
            assert seen.next() == ADDR_PENDING
            assert seen.next() == bound("10.0.0.1", "10.0.0.2", port=8080)


def test_a_change_is_followed_after_the_ttl(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        with watching(resolver(server, **QUICK).resolve("web.test", "80")) as seen:
            assert seen.settled() == bound("10.0.0.1")
            server.put("web.test", "10.0.0.2")
            assert seen.next() == bound("10.0.0.2")


def test_an_unchanged_answer_is_told_once(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        with watching(resolver(server, **QUICK).resolve("web.test", "80")) as seen:
            assert seen.settled() == bound("10.0.0.1")
            server.wait_asked("web.test", "A", 4)
            assert seen.queue.empty()


@pytest.mark.parametrize("fault", ["servfail", "garbage", "stall", "truncate both"])
def test_the_last_good_answer_outlives_a_failure(resolver: Make, fault: Fault) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        names = resolver(server, **QUICK, query_timeout_s=0.05)
        with watching(names.resolve("web.test", "80")) as seen:
            assert seen.settled() == bound("10.0.0.1")
            asked = server.asked["web.test", "A", "udp"]
            server.faults["web.test"] = fault
            server.wait_asked("web.test", "A", asked + 6)
            assert seen.queue.empty()
            del server.faults["web.test"]
            server.put("web.test", "10.0.0.2")
            assert seen.next() == bound("10.0.0.2")


def test_the_last_good_answer_outlives_an_empty_one(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        with watching(resolver(server, **QUICK).resolve("web.test", "80")) as seen:
            assert seen.settled() == bound("10.0.0.1")
            asked = server.asked["web.test", "A", "udp"]
            server.records["web.test"] = [("TXT", 60, "nothing")]
            server.wait_asked("web.test", "A", asked + 3)
            assert seen.queue.empty()


def test_the_last_good_answer_outlives_a_server_that_vanishes(resolver: Make) -> None:
    metrics = Tree()
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        with watching(resolver(server, metrics=metrics, **QUICK).resolve("web.test", "80")) as seen:
            assert seen.settled() == bound("10.0.0.1")
            server.close()
            wait_until(lambda: value(metrics, "failures") >= 3)
            assert seen.queue.empty()


def test_a_stale_answer_is_given_up_in_the_end(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        names = resolver(server, **QUICK, stale_s=0.3)
        with watching(names.resolve("web.test", "80")) as seen:
            assert seen.settled() == bound("10.0.0.1")
            server.faults["web.test"] = "servfail"
            assert seen.next() == AddrFailed("web.test: 127.0.0.1: SERVFAIL")


def test_a_name_that_goes_empties_the_set_at_once(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        with watching(resolver(server, **QUICK).resolve("web.test", "80")) as seen:
            assert seen.settled() == bound("10.0.0.1")
            server.remove("web.test")
            assert seen.next() == ADDR_NEG
            server.faults["web.test"] = "servfail"
            assert seen.next() == AddrFailed("web.test: 127.0.0.1: SERVFAIL")
            server.put("web.test", "10.0.0.3")
            del server.faults["web.test"]
            assert seen.next() == bound("10.0.0.3")


def test_a_first_failure_is_told_and_recovered_from(resolver: Make) -> None:
    with DnsServer() as server:
        server.faults["web.test"] = "servfail"
        with watching(resolver(server, **QUICK).resolve("web.test", "80")) as seen:
            assert seen.settled() == AddrFailed("web.test: 127.0.0.1: SERVFAIL")
            server.put("web.test", "10.0.0.1")
            del server.faults["web.test"]
            assert seen.next() == bound("10.0.0.1")


def test_a_family_that_fails_keeps_its_addresses(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1", "fd00::1")
        names = resolver(server, ipv6=True, **QUICK)
        with watching(names.resolve("web.test", "80")) as seen:
            assert seen.settled() == bound("10.0.0.1", "fd00::1")
            server.faults["web.test", "AAAA"] = "servfail"
            server.put("web.test", "10.0.0.2")
            assert seen.next() == bound("10.0.0.2", "fd00::1")


def test_lookups_of_one_name_are_shared(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        names = resolver(server)
        with (
            watching(names.resolve("web.test", "80")) as first,
            watching(names.resolve("WEB.test", "81")) as second,
        ):
            assert first.settled() == bound("10.0.0.1")
            assert second.settled() == bound("10.0.0.1", port=81)
        assert server.asked["web.test", "A", "udp"] == 1


def test_a_name_used_again_within_its_ttl_is_not_looked_up(resolver: Make) -> None:
    clock = FakeClock()
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1", ttl=20)
        names = resolver(server, clock=clock)
        with watching(names.resolve("web.test", "80")) as seen:
            assert seen.settled() == bound("10.0.0.1")
        clock.advance(19)
        assert names.resolve("web.test", "80").sample() == bound("10.0.0.1")
        assert server.asked["web.test", "A", "udp"] == 1
        clock.advance(2)
        with watching(names.resolve("web.test", "80")) as seen:
            assert seen.next() == ADDR_PENDING
            assert seen.next() == bound("10.0.0.1")
        assert server.asked["web.test", "A", "udp"] == 2


@pytest.mark.parametrize(("ttl", "held_s"), [(0, 5), (1, 5), (100, 100), (86400, 300)])
def test_a_ttl_is_clamped(resolver: Make, ttl: int, held_s: float) -> None:
    assert_held(resolver, lambda server: server.put("web.test", "10.0.0.1", ttl=ttl), held_s)


@pytest.mark.parametrize(("ttl", "held_s"), [(0, 1), (7, 7), (3600, 30)])
def test_absence_is_held_for_the_soa_minimum(resolver: Make, ttl: int, held_s: float) -> None:
    assert_held(resolver, lambda server: setattr(server, "negative_ttl", ttl), held_s)


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(("ttl", "held_s"), [(3600, 2), (1, 1), (None, 1.5)])
def test_absence_is_held_for_max_ttl_at_most_and_without_soa_for_min_ttl(
    resolver: Make, ttl: int | None, held_s: float, exists: bool
) -> None:
    def prepare(server: DnsServer) -> None:
        server.negative_ttl = ttl
        if exists:
            server.put("web.test", "fd00::1")

    assert_held(resolver, prepare, held_s, min_ttl_s=1.5, max_ttl_s=2)


def assert_held(
    resolver: Make, prepare: Callable[[DnsServer], None], held_s: float, **settings: float
) -> None:
    clock = FakeClock()
    with DnsServer() as server:
        prepare(server)
        names = resolver(server, clock=clock, **settings)
        with watching(names.resolve("web.test", "80")) as seen:
            known = seen.settled()
        clock.advance(held_s - 0.01)
        assert names.resolve("web.test", "80").sample() == known
        clock.advance(0.02)
        assert names.resolve("web.test", "80").sample() == ADDR_PENDING


def test_nothing_is_asked_after_the_last_observer(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        server.put("other.test", "10.0.0.2")
        names = resolver(server, **QUICK)
        with watching(names.resolve("web.test", "80")) as seen:
            seen.settled()
        asked = server.asked["web.test", "A", "udp"]
        with watching(names.resolve("other.test", "80")):
            server.wait_asked("other.test", "A", 5)
        assert server.asked["web.test", "A", "udp"] == asked


def test_a_stalled_name_does_not_hold_up_others(resolver: Make) -> None:
    with DnsServer() as server:
        server.faults["slow.test"] = "stall"
        server.put("web.test", "10.0.0.1")
        names = resolver(server)
        with watching(names.resolve("slow.test", "80")) as slow:
            server.wait_asked("slow.test", "A", 1)
            with watching(names.resolve("web.test", "80")) as seen:
                assert seen.settled() == bound("10.0.0.1")
            assert slow.next() == ADDR_PENDING
            assert slow.queue.empty()


def test_a_hundred_lookups_run_and_the_rest_wait(resolver: Make) -> None:
    metrics = Tree()
    with DnsServer() as server:
        server.faults.update({f"s{n}.test": "stall" for n in range(103)})
        names = resolver(server, metrics=metrics)
        watched = [Seen(names.resolve(f"s{n}.test", "80")) for n in range(103)]
        try:
            wait_until(lambda: len(server.asked) == 100 and value(metrics, "queue_size") == 3)
            for seen in watched[:3]:
                seen.close()
            wait_until(lambda: len(server.asked) == 103 and value(metrics, "queue_size") == 0)
        finally:
            for seen in watched:
                seen.close()


def test_unused_names_are_forgotten(resolver: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_module, "MAX_NAMES", 10)
    clock = FakeClock()
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        names = resolver(server, clock=clock)
        with watching(names.resolve("web.test", "80")) as seen:
            seen.settled()
            for n in range(50):
                names.resolve(f"n{n}.test", "80")
            assert len(names._names) <= 10
            assert "web.test" in names._names
        clock.advance(601)
        for n in range(3):
            names.resolve(f"n{n}.test", "80")
        assert set(names._names) == {"n0.test", "n1.test", "n2.test"}


def test_lookups_are_counted(resolver: Make) -> None:
    metrics = Tree()
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        names = resolver(server, metrics=metrics)
        for host in ("web.test", "no.test"):
            with watching(names.resolve(host, "80")) as seen:
                seen.settled()
    counted = {name: value(metrics, name) for name in ("successes", "failures", "dns_lookups")}
    assert counted == {"successes": 1, "failures": 1, "dns_lookups": 2}
    assert value(metrics, "dns_lookup_failures") == 1
    assert value(metrics, "lookup_ms") == 2


def value(metrics: Tree, name: str) -> float:
    match dict(metrics.walk())["inet", "dns", name]:
        case Counter() as counter:
            return counter.value
        case Gauge() as gauge:
            return gauge.read()
        case Stat() as stat:
            return stat.read().count
    raise AssertionError(name)


@pytest.fixture(name="real")
def _real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["RealServer"]:
    """A bind9 or a dnsmasq with a zone of its own, on a free loopback port."""
    kind: type[RealServer] = request.param
    if shutil.which(kind.program) is None:
        pytest.skip(f"{kind.program} is not installed")
    with kind(tmp_path) as server:
        yield server


class RealServer:
    """A name server of the world outside, started with one record and restarted with another."""

    program: str

    def __init__(self, home: Path) -> None:
        self.home = home
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    def __enter__(self) -> Self:
        self.serve(["10.0.0.1"])
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def serve(self, addresses: list[str]) -> None:
        """Serve web.test with these addresses, and big.test with sixty."""
        if hasattr(self, "process"):
            self._end()
        command = self.configure({"web": addresses, "big": [f"10.1.0.{n}" for n in range(60)]})
        with (self.home / "server.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        settings = DnsSettings(nameservers=(Server("127.0.0.1", self.port),), hosts="/dev/null")
        wait_until(lambda: self._is_up(settings))

    def configure(self, records: dict[str, list[str]]) -> list[str]:
        """Write the configuration; return the command that starts the server."""
        raise NotImplementedError

    def _is_up(self, settings: DnsSettings) -> bool:
        assert self.process.poll() is None, (self.home / "server.log").read_text()
        with watching(DnsResolver(settings, Tree()).resolve("web.test", "80")) as seen:
            return isinstance(seen.settled(), AddrBound)

    def _end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


class Bind(RealServer):
    program = "named"

    def configure(self, records: dict[str, list[str]]) -> list[str]:
        lines = [f"{name} 1 IN A {each}\n" for name, many in records.items() for each in many]
        soa = "$TTL 1\n@ IN SOA ns.test. host.test. 1 3600 600 86400 2\n@ IN NS ns.test.\n"
        (self.home / "zone").write_text(soa + "ns IN A 127.0.0.1\n" + "".join(lines))
        (self.home / "named.conf").write_text(
            f'options {{ directory "{self.home}"; listen-on port {self.port} {{ 127.0.0.1; }};'
            " listen-on-v6 { none; }; recursion no; dnssec-validation no; pid-file none;"
            " session-keyfile none; notify no; };\ncontrols { };\n"
            'zone "test" { type primary; file "zone"; };\n'
        )
        return ["named", "-g", "-c", str(self.home / "named.conf")]


class Dnsmasq(RealServer):
    program = "dnsmasq"

    def configure(self, records: dict[str, list[str]]) -> list[str]:
        lines = [f"host-record={name}.test,{e},1\n" for name, many in records.items() for e in many]
        (self.home / "dnsmasq.conf").write_text(
            f"port={self.port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\n"
            "local=/test/\nlocal-ttl=1\npid-file=\n" + "".join(lines)
        )
        return [
            "dnsmasq",
            "--keep-in-foreground",
            "--log-facility=-",
            f"--conf-file={self.home / 'dnsmasq.conf'}",
        ]


@pytest.mark.parametrize("real", [Bind, Dnsmasq], indirect=True)
def test_a_real_server_is_followed(real: RealServer) -> None:
    settings = DnsSettings(
        nameservers=(Server("127.0.0.1", real.port),), min_ttl_s=1, hosts="/dev/null", search=()
    )
    names = DnsResolver(settings, Tree())
    with watching(names.resolve("web.test", "80")) as seen:
        assert seen.settled() == bound("10.0.0.1")
        real.serve(["10.0.0.2", "10.0.0.3"])
        assert seen.next() == bound("10.0.0.2", "10.0.0.3")
    with watching(names.resolve("no.test", "80")) as seen:
        assert seen.settled() == ADDR_NEG
    with watching(names.resolve("big.test", "80")) as seen:
        assert seen.settled() == bound(*(f"10.1.0.{n}" for n in range(60)))


def test_service_records_are_asked_for_once_each_time(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("_http._tcp.web.test", "1 2 80 a.test.", "0 0 81 b.test.", ttl=7, kind="SRV")
        asking = resolver(server)
        found = asking.services("_http._tcp.web.test")
        assert set(found.records) == {(1, 2, "a.test", 80), (0, 0, "b.test", 81)}
        assert found.ttl_s == 7
        asking.services("_http._tcp.web.test")
        assert server.asked["_http._tcp.web.test", "SRV", "udp"] == 2


def test_a_service_that_is_not_there_has_no_records(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("none.test", "0 0 80 .", "0 0 0 a.test.", ttl=1000, kind="SRV")
        server.put("other.test", "10.0.0.1")
        asking = resolver(server, max_negative_ttl_s=9)
        assert asking.services("none.test") == Services((), 9)
        assert asking.services("other.test") == Services((), 1)
        assert asking.services("absent.test") == Services((), 1)


@pytest.mark.parametrize("fault", ["servfail", "refused", "garbage", "tcp hangs up", "stall"])
def test_when_no_server_can_say_the_question_failed(resolver: Make, fault: Fault) -> None:
    with DnsServer() as server:
        server.put("web.test", "0 0 80 a.test.", kind="SRV")
        server.faults["web.test"] = fault
        asking = resolver(server, query_timeout_s=0.1, attempts=1)
        kind = UnexpectedCode if fault in ("servfail", "refused") else QueryFailed
        with pytest.raises(kind):
            asking.services("web.test")


def test_other_servers_may_be_asked_for_services(resolver: Make) -> None:
    with DnsServer() as usual, DnsServer() as other:
        usual.put("ns.test", "127.0.0.1")
        other.put("web.test", "0 0 80 a.test.", kind="SRV")
        asking = resolver(usual)
        for host in (f"127.0.0.1:{other.port}", f"ns.test:{other.port}"):
            assert asking.services("web.test", (host,)).records == ((0, 0, "a.test", 80),)
        with pytest.raises(QueryFailed, match=r"absent.test:1: no name server has an address"):
            asking.services("web.test", ("absent.test:1",))
        assert not usual.asked["web.test", "SRV", "udp"]


def test_what_is_in_use_is_told(resolver: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        subject = resolver(server)
        with watching(subject.resolve("web.test", "80")) as seen:
            seen.settled()
            assert [(one.name, one.answer) for one in subject.followed()] == [
                ("web.test", "10.0.0.1")
            ]
        assert list(subject.followed()) == []
