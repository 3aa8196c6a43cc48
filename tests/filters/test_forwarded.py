"""How the two ends of a connection appear to endpoints; the worked cases are among the vectors."""

import re
from dataclasses import dataclass

import pytest

from meshproxy.filters.forwarded import (
    AddForwarded,
    AddTimestamp,
    AddXForwardedFor,
    ConnectionRandomConfig,
    IpConfig,
    IpPortConfig,
    RequestRandomConfig,
    quoted,
)
from meshproxy.http import hop
from tests.kit.messages import Replies, request, response

RANDOM = re.compile(r"_[0-9A-Za-z]{6}").fullmatch


@dataclass(frozen=True)
class Peer:
    """Two ends."""

    remote: str = "192.0.2.1:5000"
    local: str = "127.0.0.1:4140"
    certificate: None = None


@pytest.mark.parametrize(
    ("address", "alone", "with_port"),
    [
        ("192.0.2.1:80", "192.0.2.1", "192.0.2.1:80"),
        ("[2001:db8::1]:80", "[2001:db8::1]", "[2001:db8::1]:80"),
        ("[fe80::1%eth0]:80", "[fe80::1]", "[fe80::1]:80"),
        ("0.0.0.0:80", "unknown", "unknown"),
        ("[::]:80", "unknown", "unknown"),
        ("somewhere:80", "unknown", "unknown"),
        ("", "unknown", "unknown"),
    ],
)
def test_an_address_in_the_clear(address: str, alone: str, with_port: str) -> None:
    assert IpConfig().build("out")(Peer(), address) == alone
    assert IpPortConfig().build("out")(Peer(), address) == with_port


def test_a_request_s_label_is_for_that_request_only() -> None:
    label = RequestRandomConfig().build("out")
    labels = {label(Peer(), "x") for _ in range(20)}
    assert len(labels) == 20
    assert all(map(RANDOM, labels))


def test_a_connection_s_label_stays_and_is_told_to_nobody_else() -> None:
    one, other = (ConnectionRandomConfig().build("out") for _ in range(2))
    first, second = Peer(), Peer(remote="192.0.2.1:5001")
    assert RANDOM(one(first, "x"))
    assert one(first, "x") == one(Peer(), "y")
    assert one(first, "x") != one(second, "x")
    assert one(first, "x") != other(first, "x")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("_a.b-c", "_a.b-c"),
        ("a b", '"a b"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("a:1", '"a:1"'),
        ("a\r\nb", '"a??b"'),
        ("\u00e9", '"?"'),
        ("", '""'),
    ],
)
def test_what_is_no_token_is_quoted_and_stays_in_its_line(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_a_client_cannot_name_away_what_is_added() -> None:
    asked = request((b"Connection", b"forwarded, x-at"), (b"Forwarded", b"x"), (b"X-At", b"0"))
    asked.peer = Peer()
    by, for_ = IpConfig().build("out"), IpConfig().build("out")
    AddForwarded(by, for_)(asked, Replies(response()))
    AddTimestamp(b"X-At", lambda: 1.0)(asked, Replies(response()))
    hop.strip(asked.headers, may_upgrade=True)
    assert asked.headers.get_all(b"forwarded") == [b"by=127.0.0.1;for=192.0.2.1;host=web"]
    assert asked.headers.get_all(b"x-at") == [b"1000"]


def test_a_field_that_came_stays_in_front() -> None:
    asked = request((b"Forwarded", b"for=_a"))
    asked.peer = Peer()
    by, for_ = IpConfig().build("out"), IpConfig().build("out")
    AddForwarded(by, for_)(asked, Replies(response()))
    assert asked.headers.get_all(b"forwarded") == [
        b"for=_a",
        b"by=127.0.0.1;for=192.0.2.1;host=web",
    ]


def test_a_request_that_came_by_no_connection_gets_no_field() -> None:
    asked = request()
    label = IpConfig().build("out")
    AddForwarded(label, label)(asked, Replies(response()))
    assert b"forwarded" not in asked.headers


def test_the_time_of_arrival_is_added_in_whole_milliseconds() -> None:
    asked = request((b"x-time", b"1"))
    AddTimestamp(b"X-Time", now=lambda: 1700000000.9876)(asked, Replies(response()))
    assert asked.headers.get_all(b"x-time") == [b"1", b"1700000000987"]


@pytest.mark.parametrize(
    ("remote", "came", "sent"),
    [
        ("192.0.2.1:5000", (), b"192.0.2.1"),
        ("[2001:db8::1]:5000", (), b"2001:db8::1"),
        (
            "192.0.2.1:5000",
            (b"10.0.0.1", b"10.0.0.2, 10.0.0.3"),
            b"10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.1",
        ),
        ("192.0.2.1:5000", (b"",), b"192.0.2.1"),
    ],
)
def test_the_address_of_a_client_is_the_last_of_one_field(
    remote: str, came: tuple[bytes, ...], sent: bytes
) -> None:
    asked = request(
        *((b"X-Forwarded-For", value) for value in came), (b"Connection", b"x-forwarded-for-not")
    )
    asked.peer = Peer(remote)
    AddXForwardedFor()(asked, Replies(response()))
    assert asked.headers.get_all(b"x-forwarded-for") == [sent]


def test_a_client_cannot_have_its_address_removed() -> None:
    asked = request((b"Connection", b"x-forwarded-for"), (b"X-Forwarded-For", b"10.0.0.1"))
    asked.peer = Peer()
    AddXForwardedFor()(asked, Replies(response()))
    hop.strip(asked.headers, may_upgrade=True)
    assert asked.headers.get_all(b"x-forwarded-for") == [b"192.0.2.1"]


def test_a_request_of_http_2_has_an_authority_and_keeps_its_te() -> None:
    asked = request((b"te", b"trailers"), (b"Proxy-Authorization", b"x"), version=b"2")
    asked.peer = Peer()
    label = IpConfig().build("")
    AddForwarded(label, label, secure=True)(asked, Replies(response()))
    assert dict(asked.headers.items()) == {
        b"host": b"web",
        b"te": b"trailers",
        b"forwarded": b"by=127.0.0.1;for=192.0.2.1;authority=web;proto=https",
    }
