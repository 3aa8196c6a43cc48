"""One question to one server, and everything a server can do to it."""

import dns.exception
import dns.message
import dns.rrset
import gevent
import pytest
from gevent import socket
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery import dns_query
from meshproxy.discovery.dns_query import Answer, QueryDeadline, QueryFailed, Server, ask
from tests.kit.dns import DnsServer, Fault

SOON_S = 0.2


def at(server: DnsServer) -> Server:
    return Server(server.host, server.port)


def test_all_addresses_come_with_the_ttl() -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1", "10.0.0.2", "fd00::1", ttl=7)
        answer = ask(at(server), "web.test", "A", 5)
        assert set(answer.addresses) == {"10.0.0.1", "10.0.0.2"}
        assert answer.ttl_s == 7
        assert ask(at(server), "web.test", "AAAA", 5) == Answer(addresses=("fd00::1",), ttl_s=7)


def test_a_chain_has_the_least_ttl() -> None:
    with DnsServer() as server:
        server.put("www.test", "web.test.", ttl=5, kind="CNAME")
        server.put("web.test", "10.0.0.1", ttl=60)
        assert ask(at(server), "www.test", "A", 5) == Answer(addresses=("10.0.0.1",), ttl_s=5)


def test_a_name_that_does_not_exist_says_for_how_long() -> None:
    with DnsServer(negative_ttl=9) as server:
        assert ask(at(server), "no.test", "A", 5) == Answer(ttl_s=9, name_exists=False)


@pytest.mark.parametrize("has_cname", [False, True])
@pytest.mark.parametrize("exists", [False, True])
def test_an_absence_without_soa_has_the_ttl_for_that(exists: bool, has_cname: bool) -> None:
    with DnsServer(negative_ttl=None) as server:
        if has_cname:
            server.put("www.test", "no.test.", ttl=60, kind="CNAME")
        if exists:
            server.put("no.test", "fd00::1")
        name = "www.test" if has_cname else "no.test"
        assert ask(at(server), name, "A", 5, 3) == Answer(ttl_s=3, name_exists=exists)


def test_the_soa_of_another_zone_says_nothing_of_a_name() -> None:
    query = dns.message.make_query("web.test.", "A")
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.NXDOMAIN)
    soa = "ns.other. host.other. 1 3600 600 86400 3600"
    reply.authority.append(dns.rrset.from_text("other.", 3600, "IN", "SOA", soa))
    assert dns_query._answer(reply, 3).ttl_s == 3


def test_a_name_without_such_records_exists() -> None:
    with DnsServer(negative_ttl=9) as server:
        server.put("web.test", "10.0.0.1")
        assert ask(at(server), "web.test", "AAAA", 5) == Answer(ttl_s=9)


def test_a_long_answer_comes_over_tcp_and_is_cut() -> None:
    with DnsServer() as server:
        sent = [f"10.0.{n // 250}.{n % 250}" for n in range(3000)]
        server.put("big.test", *sent)
        answer = ask(at(server), "big.test", "A", 5)
        assert len(set(answer.addresses)) == 256
        assert set(answer.addresses) <= set(sent)
        assert server.asked["big.test", "A", "tcp"] == 1


def test_records_beyond_the_bound_are_not_parsed() -> None:
    """Reading thousands would hold up every greenlet for half a second."""
    query = dns.message.make_query("big.test.", "A")
    full = dns.message.make_response(query)
    hosts = [f"10.0.{n // 250}.{n % 250}" for n in range(1000)]
    full.answer.append(dns.rrset.from_text_list("big.test.", 60, "IN", "A", hosts))
    reply = dns_query._read(full.to_wire(), query)
    assert 256 <= len(reply.answer[0]) <= 300


def test_truncation_leads_to_tcp() -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        server.faults["web.test"] = "truncate"
        assert ask(at(server), "web.test", "A", 5).addresses == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("servfail", "SERVFAIL"),
        ("refused", "REFUSED"),
        ("stall", "timed out"),
        ("wrong id", "timed out"),
        ("wrong question", "answered another question"),
        ("truncate both", "truncated"),
        ("tcp hangs up", "the connection ended inside the answer"),
        ("garbage", ""),
    ],
)
def test_a_faulty_server_fails_the_query(fault: Fault, why: str) -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        server.faults["web.test"] = fault
        with pytest.raises(QueryFailed, match=f"^127.0.0.1: .*{why}"):
            ask(at(server), "web.test", "A", SOON_S)


def test_a_cname_loop_ends() -> None:
    with DnsServer() as server:
        server.put("a.test", "b.test.", kind="CNAME")
        server.put("b.test", "a.test.", kind="CNAME")
        with pytest.raises(QueryFailed):
            ask(at(server), "a.test", "A", 5)


def test_a_forged_answer_does_not_hide_the_true_one() -> None:
    with DnsServer() as server:
        server.put("web.test", "10.0.0.1")
        server.faults["web.test"] = "forged first"
        assert ask(at(server), "web.test", "A", 5).addresses == ("10.0.0.1",)


def test_an_answer_from_another_source_is_not_taken() -> None:
    """The kernel drops it, as our socket is connected to the server asked."""
    with DnsServer() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        server.put("web.test", "10.0.0.1")
        server.faults["web.test"] = "stall"
        heard: list[tuple[str, int]] = []
        server.on_question = lambda wire, peer: (
            heard.append(peer),
            other.sendto(wire[:2] + b"\x81\x80" + wire[4:], peer),
        )
        with pytest.raises(QueryFailed, match="timed out"):
            ask(at(server), "web.test", "A", SOON_S)
        assert heard


def test_a_closed_port_fails_at_once() -> None:
    server = DnsServer()
    server.close()
    with gevent.Timeout(5), pytest.raises(QueryFailed, match="refused"):
        ask(at(server), "web.test", "A", 60)


def test_a_deadline_in_the_past_fails() -> None:
    with pytest.raises(QueryFailed, match="timed out"):
        QueryDeadline(0).remaining()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", Server("10.0.0.1", 53)),
        ("10.0.0.1:5353", Server("10.0.0.1", 5353)),
        ("fd00::1", Server("fd00::1", 53)),
        ("[fd00::1]", Server("fd00::1", 53)),
        ("[fd00::1]:5353", Server("fd00::1", 5353)),
    ],
)
def test_a_server_is_read_from_text(text: str, expected: Server) -> None:
    assert Server.parse(text) == expected


@given(body=st.binary(max_size=300), flags=st.integers(0, 0xFFFF), counts=st.binary(min_size=8))
def test_any_bytes_are_an_answer_or_a_failure(body: bytes, flags: int, counts: bytes) -> None:
    """Through a server that echoes them behind the right id."""
    query = dns.message.make_query("web.test.", "A", id=1)
    question = query.to_wire()[12:]
    for tail in (body, question + body):
        wire = b"\x00\x01" + flags.to_bytes(2, "big") + counts[:8] + tail
        try:
            answer = dns_query._answer(dns_query._read(wire, query), 0.0)
        except (QueryFailed, dns.exception.DNSException):
            continue
        assert len(answer.addresses) <= 256
