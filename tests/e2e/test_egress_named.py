"""The same over bind9: each class of address, each form of a request, a zone that changes."""

import ipaddress
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.test_egress import ORDINARY, REFUSED, UNROUTABLE, connect, said
from tests.kit.daemons import Named, find
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.namespace import Namespace, Unavailable, have
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
dns: {{nameservers: [127.0.0.1], minTtlSecs: 1, maxTtlSecs: 1}}
routers:
- protocol: http
  label: http
  dtab: |
    /ph  => /$/io.buoyant.rinet ;
    /svc => /ph/80 ;
    /svc => /$/io.buoyant.porthostPfx/ph ;
  {egress}
  servers:
  - {{port: 0, ip: 127.0.0.1, connectPorts: [80]}}
"""
NAMES = {f"n{at}.test": address for at, (address, _) in enumerate(REFUSED)}
KINDS = {f"n{at}.test": kind for at, (_, kind) in enumerate(REFUSED)}
GOOD = {f"g{at}.test": address for at, address in enumerate(ORDINARY)}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Named, Downstream]]:
    """bind9 with a name for each address, and an endpoint on port 80 of all of them."""
    if find("named") is None:
        pytest.skip("named (bind9) is not installed")
    with ExitStack() as stack:
        try:
            stack.enter_context(Namespace())
        except Unavailable as why:
            pytest.skip(str(why))
        addresses = [*ORDINARY, *(address for address, _ in REFUSED)]
        have(*(address for address in addresses if not address.startswith(UNROUTABLE)))
        named = stack.enter_context(Named(tmp_path_factory.mktemp("named"), ttl=1))
        know(named, {**NAMES, **GOOD})
        yield named, stack.enter_context(Downstream(lambda _: b"x", "::", 80))


def know(named: Named, names: dict[str, str]) -> None:
    """Let *names*, each with one address or several, be all that exists."""
    lines = [
        f"{name}. {'AAAA' if ipaddress.ip_address(one).version == 6 else 'A'} {one}"
        for name, addresses in names.items()
        for one in addresses.split()
    ]
    named.know({}, *lines)


@pytest.fixture
def guarded(origin: tuple[Named, Downstream]) -> Iterator[Proxy]:
    assert origin
    with Proxy(CONFIG.format(egress="egress: {}")) as proxy:
        yield proxy


def answers(proxy: Proxy, host: str) -> list[int]:
    """Ask for *host* by Host, by the absolute form, by a dtab of the request, and for a tunnel."""
    port = proxy.port()
    return [
        get(port, host).status,
        get(port, "x.test", f"http://u:p@{host}/").status,
        get(port, "x.test", "/", f"l5d-dtab: /svc => /$/inet/{host}/80").status,
        get(port, "x.test", "/", f"l5d-dtab: /svc => /ph/80/{host}").status,
        connect(proxy, f"{host}:80"),
    ]


@pytest.mark.parametrize("host", NAMES)
def test_a_name_of_another_class_is_refused_in_every_form(
    origin: tuple[Named, Downstream], guarded: Proxy, host: str
) -> None:
    before = len(origin[1].requests)
    assert answers(guarded, host) == [403] * 5
    assert f"an address of the class {KINDS[host]}" in said(get(guarded.port(), host))
    assert len(origin[1].requests) == before


@pytest.mark.usefixtures("origin")
@pytest.mark.parametrize(
    "host", [host for host, one in NAMES.items() if not one.startswith(("224.", "240."))]
)
def test_without_rules_it_is_reached_in_every_form(host: str) -> None:
    with Proxy(CONFIG.format(egress="")) as proxy:
        assert answers(proxy, host) == [200] * 5


@pytest.mark.parametrize("host", GOOD)
def test_other_names_are_reached_in_every_form(guarded: Proxy, host: str) -> None:
    assert answers(guarded, host) == [200] * 5


def test_a_zone_that_changes_is_judged_anew_and_kept_connections_with_it(
    origin: tuple[Named, Downstream],
) -> None:
    named, _ = origin
    with Proxy(CONFIG.format(egress="egress: {}")) as proxy, WireClient(proxy.port()) as client:
        for good, bad in (("8.8.8.8", "127.0.0.1"), ("10.0.0.1", "169.254.169.254")):
            know(named, {"turn.test": good})
            wait_until(lambda: client.get("turn.test").status == 200)
            know(named, {"turn.test": bad})
            wait_until(lambda: client.get("turn.test").status == 403)
        know(named, {"turn.test": "127.0.0.1 8.8.8.8 169.254.169.254"})
        wait_until(lambda: client.get("turn.test").status == 200)
        assert {client.get("turn.test").status for _ in range(20)} == {200}


def test_without_rules_a_zone_that_changes_leads_anywhere(
    origin: tuple[Named, Downstream],
) -> None:
    named, web = origin
    with Proxy(CONFIG.format(egress="")) as proxy, WireClient(proxy.port()) as client:
        know(named, {"turn.test": "8.8.8.8"})
        wait_until(lambda: client.get("turn.test").status == 200)
        know(named, {"turn.test": "127.0.0.1"})
        connections = len(web.wire)
        wait_until(lambda: client.get("turn.test").status == 200 and len(web.wire) > connections)
