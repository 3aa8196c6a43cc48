"""A router as a Service: a request in, its name found, the name's service called."""

import pytest

from meshproxy.client.h1.pool import EndpointPool
from meshproxy.config.load import load
from meshproxy.errors import NoHosts, UnidentifiedRequest
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.metrics.tree import Tree
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_NEG, Addr, AddrBound, Address
from meshproxy.naming.dtab import Dtab
from meshproxy.protocols.http import HttpRouterConfig
from meshproxy.router.router import Router
from meshproxy.var import Var
from tests.kit.downstream import Downstream
from tests.kit.guards import guard
from tests.kit.k8s import KubeApi, ingress, wait_until
from tests.kit.messages import body_of, request

CONFIG = """
routers:
- protocol: http
  label: edge
  dtab: /svc/web => /$/inet/127.0.0.1/{port}
{more}
  servers:
  - port: 0
"""


def resolve(host: str, port: str) -> Var[Addr]:
    """Know addresses, and no names."""
    is_known = host.startswith("127.")
    return Var(AddrBound(frozenset((Address(host, int(port)),))) if is_known else ADDR_NEG)


def router(port: int, more: str = "") -> Router:
    config = load(CONFIG.format(port=port, more=more), "test.yaml").routers[0]
    assert isinstance(config, HttpRouterConfig)
    interpreter = DefaultInterpreter((), SystemNamers(resolve))
    return Router(config, interpreter, Limits(), Tree(), EndpointPool, guard(), resolve)


def overriding(table: str) -> Request:
    asked = request()
    asked.local_dtab = Dtab.parse(table)
    return asked


def test_a_request_goes_where_its_name_leads() -> None:
    with Downstream(lambda received: (received.get("l5d-dst-service") or "").encode()) as origin:
        edge = router(origin.port)
        assert (edge.label, body_of(edge.serve(request()))) == ("edge", b"/svc/web")
        edge.binding.close()


def test_a_table_that_came_along_is_for_that_request_alone() -> None:
    with Downstream(lambda _: b"base") as origin, Downstream(lambda _: b"other") as other:
        edge = router(origin.port)
        asked = [
            overriding(f"/svc/web => /$/inet/127.0.0.1/{other.port}"),
            request(),
            overriding("/svc/elsewhere => /nowhere"),
        ]
        assert [body_of(edge.serve(one)) for one in asked] == [b"other", b"base", b"base"]
        edge.binding.close()


def test_a_table_may_lead_nowhere() -> None:
    edge = router(1)
    with pytest.raises(NoHosts, match="override dtab:\n  /svc/web => !\n"):
        edge.serve(overriding("/svc/web => !"))
    edge.binding.close()


def test_identifiers_are_asked_in_their_order() -> None:
    more = "  identifier:\n  - {kind: io.l5d.header.token, header: x-name}\n  - kind: io.l5d.path"
    with Downstream(lambda received: (received.get("l5d-dst-service") or "").encode()) as origin:
        edge = router(origin.port, more)
        assert body_of(edge.serve(request((b"X-Name", b"web")))) == b"/svc/web"
        with pytest.raises(UnidentifiedRequest, match="not enough segments in path"):
            edge.serve(request())
        edge.binding.close()


def test_a_request_without_a_name_is_refused() -> None:
    edge = router(1)
    asked = request()
    asked.headers.remove(b"host")
    with pytest.raises(UnidentifiedRequest, match="Host header is absent"):
        edge.serve(asked)


@pytest.mark.parametrize(("more", "is_shown"), [("", False), ("  originator: true", True)])
def test_an_originator_says_so(more: str, *, is_shown: bool) -> None:
    edge = router(1, more)
    assert ("originator" in edge.metrics.instruments) == is_shown


def test_an_identifier_that_follows_something_reports_and_ends_with_the_router() -> None:
    with KubeApi() as api:
        api.apply(
            ingress("a", {"defaultBackend": {"service": {"name": "a", "port": {"name": "b"}}}})
        )
        more = f"  identifier: {{kind: io.l5d.ingress, host: 127.0.0.1, port: {api.port}}}"
        edge = router(1, more)
        assert edge.identify(request()).show() == "/svc/default/b/a"
        assert edge.metrics.scope("identifier").gauge("lists").read() == 1
        wait_until(lambda: api.watchers)
        edge.close()
        wait_until(lambda: not api.watchers)


@pytest.mark.parametrize(
    ("identifier", "is_by_host"),
    [
        ("{kind: io.l5d.header.token}", True),
        ("{kind: io.l5d.header.token, header: ':authority'}", True),
        ("{kind: io.l5d.header.token, header: x-name}", False),
    ],
)
def test_egress_knows_if_names_come_from_the_host_alone(identifier: str, is_by_host: bool) -> None:
    one = router(1, f"  identifier: {identifier}\n  egress: {{}}")
    assert one.gate is not None
    assert one.gate._names_by_host is is_by_host
