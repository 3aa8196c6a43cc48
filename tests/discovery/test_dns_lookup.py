"""A whole resolution against real servers on loopback."""

from collections.abc import Callable
from pathlib import Path

import gevent
import pytest

from meshproxy.config.schema import DnsConfig
from meshproxy.discovery.dns_lookup import DnsSettings, Lookup
from meshproxy.discovery.dns_query import QueryFailed, Server
from tests.kit.dns import DnsServer, Fault

SHORT_S = 0.2
Make = Callable[..., Lookup]


@pytest.fixture(name="lookup")
def _lookup(tmp_path: Path) -> Make:
    """Build a Lookup that asks the given servers and reads no file of this machine."""

    def make(*servers: DnsServer, ipv6: bool = False, **settings: object) -> Lookup:
        return Lookup(
            DnsSettings(
                nameservers=tuple(Server(server.host, server.port) for server in servers) or None,
                resolv_conf=str(tmp_path / "resolv.conf"),
                hosts=str(tmp_path / "hosts"),
                **settings,  # type: ignore[arg-type]
            ),
            has_ipv6=lambda: ipv6,
        )

    return make


def test_the_hosts_file_comes_first_and_is_read_again(lookup: Make, tmp_path: Path) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.9")
        (tmp_path / "hosts").write_text("10.0.0.1 web.test\n")
        names = lookup(server)
        assert names.look_up("web.test").addresses == ("10.0.0.1",)
        assert names.look_up("web.test.").addresses == ("10.0.0.1",)
        assert not server.asked
        (tmp_path / "hosts").write_text("")
        assert names.look_up("web.test").addresses == ("10.0.0.9",)


def test_search_domains_are_tried_in_order(lookup: Make, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("search a.test b.test\noptions ndots:2\n")
    with DnsServer() as server:
        server.put("web.b.test", "10.0.0.2")
        server.put("web", "10.0.0.3")
        names = lookup(server)
        assert names.look_up("web").addresses == ("10.0.0.2",)
        assert names.look_up("web.").addresses == ("10.0.0.3",)
        (tmp_path / "resolv.conf").write_text("search c.test\n")
        assert names.look_up("web").addresses == ("10.0.0.3",)


def test_settings_override_the_file(lookup: Make, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("search a.test\noptions ndots:9\n")
    with DnsServer() as server:
        server.put("web.b.test", "10.0.0.2")
        assert lookup(server, search=("b.test",), ndots=1).look_up("web").addresses


def test_a_name_in_no_search_domain_does_not_exist(lookup: Make, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("search a.test b.test\n")
    with DnsServer(negative_ttl=3) as server:
        answer = lookup(server).look_up("web")
        assert (answer.addresses, answer.name_exists, answer.ttl_s) == ((), False, 3)


def test_a_failure_in_the_search_is_not_taken_for_absence(lookup: Make, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("search a.test\n")
    with DnsServer() as server:
        server.faults["web.a.test"] = "servfail"
        with pytest.raises(QueryFailed, match="SERVFAIL"):
            lookup(server).look_up("web")
        server.put("web", "10.0.0.1")
        assert lookup(server).look_up("web").addresses == ("10.0.0.1",)


def test_both_families_are_asked_when_there_is_ipv6(lookup: Make) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1", ttl=9)
        server.put("web.test", "fd00::1", ttl=8)
        answer = lookup(server, ipv6=True).look_up("web.test")
        assert set(answer.addresses) == {"10.0.0.1", "fd00::1"}
        assert (answer.ttl_s, answer.is_partial) == (8, False)
        assert lookup(server, ipv6=False).look_up("web.test").addresses == ("10.0.0.1",)


def test_a_name_of_one_family_is_complete(lookup: Make) -> None:
    with DnsServer() as server:
        server.put("four.test", "10.0.0.1")
        server.put("six.test", "fd00::1")
        names = lookup(server, ipv6=True)
        assert names.look_up("four.test").addresses == ("10.0.0.1",)
        assert names.look_up("six.test").addresses == ("fd00::1",)
        assert not names.look_up("four.test").is_partial


@pytest.mark.parametrize("fault", ["servfail", "stall"])
def test_a_family_that_fails_does_not_hide_the_other(lookup: Make, fault: Fault) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1", "fd00::1")
        server.faults["web.test", "AAAA"] = fault
        with gevent.Timeout(4):
            answer = lookup(server, ipv6=True, query_timeout_s=60).look_up("web.test")
        assert answer.addresses == ("10.0.0.1",)
        assert answer.is_partial


def test_no_family_and_a_failure_is_a_failure(lookup: Make) -> None:
    with DnsServer() as server:
        server.put("six.test", "fd00::1")
        server.faults["six.test", "AAAA"] = "servfail"
        with pytest.raises(QueryFailed):
            lookup(server, ipv6=True).look_up("six.test")


def test_a_name_that_does_not_exist_waits_for_nothing(lookup: Make) -> None:
    with DnsServer() as server:
        server.faults["no.test", "AAAA"] = "stall"
        with gevent.Timeout(4):
            assert not lookup(server, ipv6=True, query_timeout_s=60).look_up("no.test").name_exists


@pytest.mark.parametrize("fault", ["servfail", "stall", "garbage", "refused"])
def test_the_next_server_is_asked_and_then_preferred(lookup: Make, fault: Fault) -> None:
    with DnsServer() as bad, DnsServer() as good:
        bad.faults["web.test"] = fault
        good.put("web.test", "10.0.0.1")
        good.put("two.test", "10.0.0.2")
        names = lookup(bad, good, query_timeout_s=SHORT_S)
        assert names.look_up("web.test").addresses == ("10.0.0.1",)
        assert names.look_up("two.test").addresses == ("10.0.0.2",)
        assert not bad.asked["two.test", "A", "udp"]


def test_every_server_gets_its_attempts(lookup: Make) -> None:
    with DnsServer() as one, DnsServer() as two:
        one.faults["web.test"] = two.faults["web.test"] = "servfail"
        with pytest.raises(QueryFailed):
            lookup(one, two, attempts=3).look_up("web.test")
        assert one.asked["web.test", "A", "udp"] == two.asked["web.test", "A", "udp"] == 3


def test_the_whole_resolution_has_a_limit(lookup: Make, tmp_path: Path) -> None:
    (tmp_path / "resolv.conf").write_text("search a.test b.test c.test\n")
    with DnsServer() as server:
        server.faults.update(dict.fromkeys(("w.a.test", "w.b.test", "w.c.test", "w"), "stall"))
        names = lookup(server, query_timeout_s=60, timeout_s=SHORT_S)
        with gevent.Timeout(4), pytest.raises(QueryFailed, match="timed out"):
            names.look_up("w")


def test_the_configuration_becomes_settings() -> None:
    config = DnsConfig(nameservers=("10.0.0.1", "[fd00::1]:54"), timeout_ms=1500, min_ttl_secs=2)
    settings = DnsSettings.of(config)
    assert settings.nameservers == (Server("10.0.0.1"), Server("fd00::1", 54))
    assert (settings.query_timeout_s, settings.timeout_s) == (1.5, 5.0)
    assert (settings.min_ttl_s, settings.max_ttl_s) == (2, 300)
    assert DnsSettings.of(DnsConfig()).nameservers is None
