"""However a client spells a destination, it has one name, one client and one set of rules."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path as FilePath

import pytest

from meshproxy.naming.path import Path
from tests.kit.certs import Certs
from tests.kit.downstream import Downstream, Received
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: |
    /ph  => /$/io.buoyant.rinet ;
    /srv => /ph/80 ;
    /srv => /$/io.buoyant.porthostPfx/ph ;
    /svc => /srv ;
    {rules}
  {router}
  servers:
  - {{port: 0, ip: 127.0.0.1, connectPorts: [{port}]}}
"""


Ask = Callable[[Proxy, str], Reply]
pytestmark = pytest.mark.world


def named(received: Received) -> bytes:
    """Answer with the logical and the bound name that led here."""
    return f"{received.get('l5d-dst-service')} {received.get('l5d-dst-client')}".encode()


@contextmanager
def egress(port: int, router: str = "", rules: str = "") -> Iterator[Proxy]:
    with Proxy(CONFIG.format(port=port, router=router, rules=rules)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def v4() -> Iterator[tuple[Proxy, int]]:
    with Downstream(named) as origin, egress(origin.port) as proxy:
        yield proxy, origin.port


@pytest.fixture(scope="module")
def v6() -> Iterator[tuple[Proxy, int]]:
    with Downstream(named, "::1") as origin, egress(origin.port) as proxy:
        yield proxy, origin.port


def by_host(proxy: Proxy, authority: str) -> Reply:
    with WireClient(proxy.port()) as asking:
        return asking.get(authority)


def by_target(proxy: Proxy, authority: str) -> Reply:
    with WireClient(proxy.port()) as asking:
        return asking.get("other.test", f"http://{authority}/")


def by_connect(proxy: Proxy, authority: str) -> Reply:
    """Ask through a tunnel to *authority*."""
    with WireClient(proxy.port()) as asking:
        asking.send(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        assert asking.sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        return asking.get(authority)


SPELLINGS_4 = ["127.0.0.1:{}", "127.0.0.1:000{}", "127.0.0.1.:{}", "[::ffff:127.0.0.1]:{}",
               "[0:0:0:0:0:FFFF:7F00:0001]:0{}"]  # fmt: skip
SPELLINGS_6 = ["[::1]:{}", "[::1]:0{}", "[0:0:0:0:0:0:0:1]:{}", "[0::0001]:{}"]


@pytest.mark.parametrize("ask", [by_host, by_target])
@pytest.mark.parametrize("spelling", SPELLINGS_4)
def test_every_spelling_of_an_address_has_one_name(
    v4: tuple[Proxy, int], spelling: str, ask: Ask
) -> None:
    proxy, port = v4
    wanted = f"/svc/127.0.0.1:{port} /$/io.buoyant.rinet/{port}/127.0.0.1"
    assert ask(proxy, spelling.format(port)).body == wanted.encode()


@pytest.mark.parametrize("ask", [by_host, by_target])
@pytest.mark.parametrize("spelling", SPELLINGS_6)
def test_every_spelling_of_an_ipv6_address_has_one_name(
    v6: tuple[Proxy, int], spelling: str, ask: Ask
) -> None:
    proxy, port = v6
    wanted = f"{Path.of('svc', f'[::1]:{port}').show()} /$/io.buoyant.rinet/{port}/::1"
    assert ask(proxy, spelling.format(port)).body == wanted.encode()


@pytest.mark.parametrize("spelling", SPELLINGS_4)
def test_a_tunnel_leads_to_an_address_however_it_is_spelled(
    v4: tuple[Proxy, int], spelling: str
) -> None:
    proxy, port = v4
    assert by_connect(proxy, spelling.format(port)).status == 200


@pytest.mark.parametrize("spelling", SPELLINGS_6)
def test_a_tunnel_leads_to_an_ipv6_address(v6: tuple[Proxy, int], spelling: str) -> None:
    proxy, port = v6
    assert by_connect(proxy, spelling.format(port)).status == 200
    scope = f"rt/http/client/$/io.buoyant.rinet/{port}/::1"
    assert proxy.counts(scope, "requests")[0] > 0


@pytest.mark.parametrize("ask", [by_host, by_target])
@pytest.mark.parametrize(
    "spelling", ["localhost:{}", "LocalHost:{}", "localhost.:{}", "LOCALHOST.:000{}"]
)
def test_no_spelling_leads_past_the_tls_of_a_client_prefix(
    tmp_path: FilePath, spelling: str, ask: Ask
) -> None:
    certs = Certs(tmp_path)
    with Downstream(named, context=certs.server("localhost")) as origin:
        tls = f"{{commonName: localhost, trustCerts: [{certs.bundle}]}}"
        prefix = f"/$/io.buoyant.rinet/{origin.port}/LocalHost"
        router = f"client: {{kind: io.l5d.static, configs: [{{prefix: {prefix}, tls: {tls}}}]}}"
        with egress(origin.port, router) as proxy:
            assert ask(proxy, spelling.format(origin.port)).status == 200
            assert origin.server_names == ["localhost"]


def test_tls_to_an_ipv6_address_is_verified_against_the_address(tmp_path: FilePath) -> None:
    certs = Certs(tmp_path)
    with Downstream(named, "::1", context=certs.server("::1")) as origin:
        tls = f'{{commonName: "{{service}}", trustCerts: [{certs.bundle}]}}'
        prefix = f'"/$/io.buoyant.rinet/{origin.port}/{{service}}"'
        router = f"client: {{kind: io.l5d.static, configs: [{{prefix: {prefix}, tls: {tls}}}]}}"
        with egress(origin.port, router) as proxy:
            assert by_host(proxy, f"[::1]:{origin.port}").status == 200
            assert origin.server_names == [None]


def test_a_breaker_is_that_of_every_spelling(v4: tuple[Proxy, int]) -> None:
    _, port = v4
    with egress(port) as proxy:
        for spelling in SPELLINGS_4:
            by_host(proxy, spelling.format(port))
        scope = f"rt/http/client/$/io.buoyant.rinet/{port}/127.0.0.1"
        assert proxy.counts(scope, "requests") == [len(SPELLINGS_4)]


@pytest.mark.parametrize("ask", [by_host, by_target])
@pytest.mark.parametrize("spelling", ["web", "web:", "web.", "web.:"])
def test_an_empty_port_is_the_default_port(v4: tuple[Proxy, int], spelling: str, ask: Ask) -> None:
    _, port = v4
    with egress(port, rules=f"/svc/web => /$/inet/127.0.0.1/{port} ;") as proxy:
        reply = ask(proxy, spelling)
        assert reply.body == f"/svc/web /$/inet/127.0.0.1/{port}".encode()


@pytest.mark.parametrize("authority", ["web", "web:", "web:0443"])
def test_a_url_of_https_is_named_with_its_port(v4: tuple[Proxy, int], authority: str) -> None:
    _, port = v4
    with (
        egress(port, rules=f"/svc/web:443 => /$/inet/127.0.0.1/{port} ;") as proxy,
        WireClient(proxy.port()) as asking,
    ):
        assert asking.get("web", f"HTTPS://{authority}/").status == 200


def test_endpoints_read_the_host_as_the_client_wrote_it() -> None:
    with Downstream(lambda got: (got.get("host") or "").encode()) as origin:
        rules = f"/svc/Web.test:80 => /$/inet/127.0.0.1/{origin.port} ;"
        with egress(origin.port, rules=rules) as proxy:
            assert by_host(proxy, "Web.test.:080").body == b"Web.test.:080"
            assert by_target(proxy, "Web.test.:080").body == b"Web.test.:080"


@pytest.mark.parametrize("authority", ["127.1", "0x7f.1", "0177.0.0.1", "a..b", "a:65536", ".a"])
def test_what_others_might_read_as_another_host_is_refused(
    v4: tuple[Proxy, int], authority: str
) -> None:
    for ask in (by_host, by_target):
        reply = ask(v4[0], authority)
        assert (reply.status, bool(reply.get("l5d-err"))) == (400, True)
