"""Which parent is asked, what it is told, and what each of its answers means."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import gevent
import gevent.server
import pytest
from gevent import socket

from meshproxy.client.sockets import connected
from meshproxy.client.transport import Transport
from meshproxy.client.upstream_proxy import NoParent, ParentRefused, UpstreamProxy, by_name
from meshproxy.config.upstream_proxy import UpstreamProxyConfig
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import (
    ADDR_NEG,
    ADDR_PENDING,
    Addr,
    AddrBound,
    Address,
    AddrFailed,
    NamedAddress,
)
from meshproxy.var import Var
from tests.kit.badserver import BadServer, Send, Stall, Until
from tests.kit.parent import HANGS_UP, Parent
from tests.kit.wire import free_port

WEB = NamedAddress("web.test", 443)


def resolve(host: str, port: str) -> Var[Addr]:
    """Know addresses, and no names."""
    known = host.startswith("127.")
    return Var(AddrBound(frozenset((Address(host, int(port)),))) if known else ADDR_NEG)


class Asking:
    """A client with *parents*, of which none may be an address that *refuses* names."""

    def __init__(self, *parents: str, refuses: str = "", **more: object) -> None:
        self.metrics = Tree()
        self.proxy = UpstreamProxy(
            UpstreamProxyConfig(addresses=parents, **more),  # type: ignore[arg-type]
            resolve,
            lambda address: "it is us" if address.host == refuses else None,
            self.metrics,
        )

    def connect(
        self, to: Address = WEB, via: tuple[bytes, ...] = (), seconds: float = 5.0
    ) -> socket.socket:
        transport = Transport(Limits(), seconds, proxy=self.proxy)
        return connected(to, transport, via)

    def counts(self) -> list[int]:
        scope = self.metrics.scope("upstream_proxy")
        return [scope.counter(name).value for name in ("failures", "refusals", "direct")]


@contextmanager
def echo() -> Iterator[tuple[str, int]]:
    server = gevent.server.StreamServer(("127.0.0.1", 0), lambda sock, _: sock.sendall(b"hello"))
    server.start()
    try:
        yield server.address
    finally:
        server.stop()


def test_a_parent_is_told_the_name_and_where_the_request_came_from() -> None:
    with echo() as to, Parent({"web.test:443": to}) as parent:
        with Asking(parent.address).connect(via=(b"1.1 a, 1.1 linkerd",)) as sock:
            assert sock.recv(100) == b"hello"
        assert parent.heads == [
            (
                b"CONNECT web.test:443 HTTP/1.1\r\nHost: web.test:443\r\n"
                b"Via: 1.1 a, 1.1 linkerd\r\n\r\n"
            )
        ]


def test_an_address_of_ipv6_is_told_in_brackets() -> None:
    with Parent(answer=200) as parent, Asking(parent.address).connect(Address("fd00::1", 80)):
        assert parent.asked == ["[fd00::1]:80"]


def test_nothing_is_read_beyond_the_answer() -> None:
    parent = Parent(answer=200, greeting=b"server first")
    with parent, Asking(parent.address).connect() as sock:
        assert sock.recv(100) == b"server first"


def test_an_answer_may_come_in_pieces_and_after_informational_ones() -> None:
    steps = [Until(b"\r\n\r\n")]
    for byte in b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.0 200 \r\nX: y\r\n\r\nz":
        steps += [Send(bytes([byte]))]
    parent = BadServer([[*steps, Stall()]])
    with parent, Asking(f"127.0.0.1:{parent.port}").connect() as sock:
        assert sock.recv(100) == b"z"


@pytest.mark.parametrize("answer", [HANGS_UP, 500, 502, 503, 599])
def test_one_that_fails_gives_way_to_the_next(answer: int) -> None:
    with Parent(answer=answer) as bad, Parent(answer=200) as good:
        asking = Asking(bad.address, good.address)
        for _ in range(2):
            asking.connect().close()
        assert (len(bad.heads), len(good.heads), asking.counts()) == (2, 2, [2, 0, 0])


def test_one_that_cannot_be_reached_is_tried_after_the_others_for_a_while() -> None:
    gone = f"127.0.0.1:{free_port()}"
    with Parent(answer=200) as good:
        asking = Asking(gone, "unknown.test:3128", good.address)
        for _ in range(3):
            asking.connect().close()
        assert (len(good.heads), asking.counts()) == (3, [2, 0, 0])


def test_one_that_does_not_answer_gives_way_too() -> None:
    with BadServer([[Stall()]]) as silent, Parent(answer=200) as good:
        asking = Asking(f"127.0.0.1:{silent.port}", good.address)
        asking.connect(seconds=0.1).close()
        assert asking.counts() == [1, 0, 0]


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 200\r\n" + b"x" * 20_000]
)
def test_what_is_no_answer_is_a_failure(answer: bytes) -> None:
    with BadServer([[Until(b"\r\n\r\n"), Send(answer), Stall()]]) as parent:
        asking = Asking(f"127.0.0.1:{parent.port}")
        with pytest.raises(NoParent, match=r"HTTP/1\.x|has no end"):
            asking.connect()


@pytest.mark.parametrize("answer", [302, 400, 403, 404])
def test_a_refusal_is_final_and_named(answer: int) -> None:
    with Parent(answer=answer) as first, Parent(answer=200) as second:
        asking = Asking(first.address, second.address)
        with pytest.raises(ParentRefused) as caught:
            asking.connect()
        assert str(caught.value) == (
            f"The parent proxy {first.address} refuses the connection: {answer} Said So"
        )
        assert (caught.value.status, second.heads, asking.counts()) == (502, [], [0, 1, 0])


def test_credentials_are_sent_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "parent"
    file.write_text("user:hush")
    with Parent(answer=407) as parent:
        for more, hint in (
            ({}, "user:password belong in credentialsFile"),
            ({"credentials_file": str(file)}, "its user and password are in credentialsFile"),
        ):
            with pytest.raises(ParentRefused, match=hint) as caught:
                Asking(parent.address, **more).connect()
            assert "hush" not in str(caught.value)
        assert b"Proxy-Auth" not in parent.heads[0]
        assert b"\r\nProxy-Authorization: Basic dXNlcjpodXNo\r\n" in parent.heads[1]


def test_when_none_serves_each_reason_is_told() -> None:
    gone = f"127.0.0.1:{free_port()}"
    with Parent(answer=502) as bad:
        with pytest.raises(NoParent) as caught:
            Asking(gone, bad.address, "unknown.test:1").connect()
        assert str(caught.value) == (
            f"no parent proxy serves: {gone}: Connection refused; {bad.address}: its response is "
            "502 Said So; unknown.test:1: it has no address"
        )


def test_it_connects_directly_only_if_that_is_wanted_and_the_address_is_known() -> None:
    with echo() as to, Parent(answer=503) as bad:
        known = NamedAddress("web.test", 443, found=frozenset({Address(*to)}))
        with pytest.raises(NoParent):
            Asking(bad.address).connect(known)
        asking = Asking(bad.address, or_direct=True)
        with asking.connect(known) as sock:
            assert sock.recv(100) == b"hello"
        with pytest.raises(NoParent):
            asking.connect(WEB)
        assert asking.counts() == [2, 0, 1]


def test_a_parent_that_is_this_proxy_is_not_asked() -> None:
    with Parent(answer=200) as parent:
        with pytest.raises(NoParent, match="it is us"):
            Asking(parent.address, refuses="127.0.0.1").connect()
        assert parent.heads == []


def test_the_end_of_the_request_s_time_is_not_the_parent_s_fault() -> None:
    with BadServer([[Stall()]]) as silent, Parent(answer=200) as other:
        asking, late = Asking(f"127.0.0.1:{silent.port}", other.address), TimeoutError()
        started = monotonic()
        with pytest.raises(TimeoutError) as caught, gevent.Timeout(0.05, late):
            asking.connect(seconds=30.0)
        assert caught.value is late
        assert monotonic() - started < 30
        assert (other.heads, asking.counts()) == ([], [0, 0, 0])


FOUND = frozenset({Address("8.8.8.8", 80)})


@pytest.mark.parametrize(
    ("addr", "host", "told"),
    [
        (ADDR_PENDING, "web.test", ADDR_PENDING),
        (ADDR_NEG, "web.test", frozenset()),
        (AddrFailed("no server"), "web.test", frozenset()),
        (AddrBound(FOUND), "web.test", FOUND),
        (AddrBound(FOUND), "8.8.8.8", FOUND),
        (AddrFailed("odd"), "127.1", AddrFailed("odd")),
        (AddrFailed("odd"), "0x7f000001", AddrFailed("odd")),
        (AddrFailed("odd"), "a:b", AddrFailed("odd")),
        (AddrFailed("odd"), "a#b", AddrFailed("odd")),
    ],
)
def test_a_name_is_told_with_what_is_known_of_it(
    addr: Addr, host: str, told: Addr | frozenset[Address]
) -> None:
    found = by_name(addr, host, 80)
    if isinstance(told, frozenset):
        assert found == AddrBound(frozenset({NamedAddress(host, 80, found=told)}))
    else:
        assert found == told
