"""Where an API is, and how connections to it are made."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path as FilePath

import gevent
import pytest
from gevent import socket

from meshproxy.config.files import RegularFile
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.discovery.watching.api import MAX_HELD, Api, addresses_of, authority
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line
from meshproxy.naming.addr import ADDR_PENDING, AddrBound, Address, AddrFailed
from meshproxy.naming.bound import Bound
from meshproxy.naming.nametree import NEG, Leaf, NameTree, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.var import PENDING, Activity, Failed, Ok, Var
from tests.kit.badserver import BadServer, Stall
from tests.kit.certs import Certs
from tests.kit.deps import load_tls
from tests.kit.k8s import wait_until
from tests.kit.wire import dial

from .conftest import QUICK, Scripted, api_at, at


def leaf(*ports: int) -> Leaf[Bound]:
    return Leaf(Bound(Path.of("x", *map(str, ports)), Var(at(*ports))))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (PENDING, ADDR_PENDING),
        (Failed(LookupError("no way")), AddrFailed("no way")),
        (Ok(NEG), AddrBound(frozenset())),
        (Ok(leaf(1)), at(1)),
        (Ok(Union((Weighted(1.0, leaf(1)), Weighted(2.0, leaf(2, 3))))), at(1, 2, 3)),
    ],
)
def test_an_api_is_at_every_address_of_its_name(state: object, expected: object) -> None:
    bound: Activity[NameTree[Bound]] = Var(state)  # type: ignore[arg-type]
    assert addresses_of(bound).sample() == expected


def test_a_host_is_a_name_like_any_other() -> None:
    asked: list[str] = []

    def bind(path: Path) -> Activity[NameTree[Bound]]:
        asked.append(path.show())
        return Var(Ok(leaf(80)))

    api = Api.at(bind, "consul.test", 8500, headers={"a": "b"})
    assert (asked, api.host, api.headers()) == (
        ["/$/inet/consul.test/8500"], "consul.test:8500", {"a": "b"}
    )  # fmt: skip
    assert api.where.sample() == AddrBound(frozenset({Address("127.0.0.1", 80)}))


@pytest.mark.parametrize(
    ("port", "expected"), [(80, "a.test"), (443, "a.test"), (8500, "a.test:8500")]
)
def test_the_ports_of_http_are_not_named(port: int, expected: str) -> None:
    assert authority("a.test", port) == expected


def test_places_for_held_questions_are_given_back(server: Scripted) -> None:
    api = api_at(server.port)
    held = [api.place() for _ in range(MAX_HELD)]
    assert all(place.__enter__() for place in held)
    with api.place() as has_place:
        assert not has_place
    held.pop().__exit__(None, None, None)
    with api.place() as has_place:
        assert has_place


@pytest.mark.parametrize(("name", "is_right"), [("api.test", True), ("other.test", False)])
def test_tls_asks_for_the_name_and_looks_for_it(
    tmp_path: FilePath, name: str, is_right: bool
) -> None:
    certs = Certs(tmp_path)
    config = ClientTlsConfig(common_name=name, trust_certs_bundle=RegularFile(str(certs.bundle)))
    with (
        Scripted(context=certs.server("api.test")) as server,
        closing(Line(api_at(server.port, tls=load_tls(config)), lambda: None)) as line,
    ):
        if is_right:
            assert line.ask("/x").body == b"/x"
            return
        with pytest.raises(ApiFailure, match="no TLS with") as raised:
            line.ask("/x")
        assert raised.value.reason is Reason.TLS


def test_a_certificate_that_nobody_vouches_for_is_accepted_only_if_told(
    tmp_path: FilePath,
) -> None:
    tls = load_tls(ClientTlsConfig(disable_validation=True, common_name="x.test"))
    with (
        Scripted(context=Certs(tmp_path).server("api.test")) as server,
        closing(Line(api_at(server.port, tls=tls), lambda: None)) as line,
    ):
        assert line.ask("/x").body == b"/x"


def test_a_server_that_does_not_shake_hands_is_given_up() -> None:
    tls = load_tls(ClientTlsConfig(disable_validation=True))
    with (
        BadServer([[Stall()]]) as server,
        closing(Line(api_at(server.port, replace(QUICK, connect_s=0.1), tls=tls), lambda: None)) as
        line,
    ):  # fmt: skip
        with pytest.raises(ApiFailure) as raised:
            line.ask("/x")
        assert raised.value.reason is Reason.CONNECT


def test_connecting_ends_with_who_wanted_it() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with dial(("127.0.0.1", port)):
            line = Line(api_at(port), lambda: None)
            asking = gevent.spawn(line.ask, "/x")
            gevent.idle()
            asking.kill()
            line.close()


def test_with_fail_fast_an_api_that_is_down_is_left_alone(server: Scripted) -> None:
    api = api_at(server.port, fail_fast=True)
    server.close()
    with closing(Line(api, lambda: None)) as line:
        with pytest.raises(ApiFailure, match="refused"):
            line.ask("/x")
        with pytest.raises(ApiFailure, match="failFast"):
            line.ask("/x")
    server.listen()
    wait_until(lambda: _answers(api))


def _answers(api: Api) -> bool:
    with closing(Line(api, lambda: None)) as line:
        try:
            return line.ask("/x").status == 200
        except ApiFailure:
            return False
