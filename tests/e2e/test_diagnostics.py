"""TRACE and OPTIONS through whole proxies, and the Host that origins read."""

import re

import pytest

from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient, get

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  label: {label}
  dtab: |
    /srv => /$/inet/127.0.0.1 ;
    /svc/* => /srv/{port} ;
  client: {{{client}}}
  servers:
  - {{port: 0, ip: 127.0.0.1, {server}}}
"""


def config(port: int, label: str = "http", server: str = "", client: str = "") -> str:
    return CONFIG.format(port=port, label=label, server=server, client=client)


def ok(_: Received) -> Answer:
    return Answer(body=b"done")


def ask(port: int, method: str, *fields: str, target: str = "/") -> Reply:
    with WireClient(port) as client:
        lines = [f"{method} {target} HTTP/1.1", "Host: web", *fields, "", ""]
        client.send("\r\n".join(lines).encode("latin-1"))
        return client.read(method.encode())


@pytest.mark.parametrize("target", ["/", "*"])
def test_a_request_that_may_go_no_further_is_answered_here(target: str) -> None:
    with Downstream(ok) as origin, Proxy(config(origin.port)) as proxy:
        reply = ask(proxy.port(), "OPTIONS", "Max-Forwards: 0", target=target)
        assert (reply.status, reply.body, origin.requests) == (200, b"", [])
        reply = ask(proxy.port(), "OPTIONS", "Max-Forwards: 1", target=target)
        assert (reply.body, origin.requests[0].get("max-forwards")) == (b"done", "0")


def test_hops_that_cannot_be_counted_are_a_bad_request() -> None:
    with Downstream(ok) as origin, Proxy(config(origin.port)) as proxy:
        reply = ask(proxy.port(), "TRACE", "Max-Forwards: x")
        metrics = proxy.metrics()
    assert (reply.status, reply.body) == (400, b"Invalid value for Max-Forwards header")
    assert origin.requests == []
    client = f"rt/http/client/$/inet/127.0.0.1/{origin.port}/"
    assert metrics[f"{client}failures/bad_request"] == 1
    assert metrics[f"{client}failure_accrual/removals"] == 0


def test_other_methods_keep_what_they_bring() -> None:
    with Downstream(ok) as origin, Proxy(config(origin.port)) as proxy:
        get(proxy.port(), "web", "/", "Max-Forwards: 0", "l5d-add-context: true")
    assert origin.requests[0].get("max-forwards") == "0"


def test_every_proxy_on_the_way_adds_its_report() -> None:
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port, "inner")) as inner,
        Proxy(config(inner.port("inner"), "outer")) as outer,
    ):
        reply = ask(outer.port("outer"), "TRACE", "l5d-add-context: true")
        last = ask(outer.port("outer"), "TRACE", "l5d-add-context: true", "Max-Forwards: 1")
        ports = [origin.port, inner.port("inner")]
    reports = [
        f"--- Router: {label} ---\nrequest duration: N ms\nservice name: /svc/web\n"
        f"client name: /$/inet/127.0.0.1/{port}\naddresses: [127.0.0.1:{port}]\n"
        f"selected address: 127.0.0.1:{port}\ndtab resolution:\n  /svc/web\n"
        f"  /srv/{port} (/svc/*=>/srv/{port})\n"
        f"  /$/inet/127.0.0.1/{port} (/srv=>/$/inet/127.0.0.1)\n"
        for label, port in zip(("inner", "outer"), ports, strict=True)
    ]
    shown = [re.sub(r": \d+ ms", ": N ms", one.body.decode()) for one in (reply, last)]
    assert shown[0] == "done\n\n" + reports[0].rstrip() + "\n\n" + reports[1]
    assert shown[1] == reports[0].rstrip() + "\n\n" + reports[1]
    assert len(origin.requests) == 1


def test_a_client_outside_the_mesh_gets_no_report() -> None:
    with Downstream(ok) as origin, Proxy(config(origin.port, server="clearContext: true")) as proxy:
        reply = ask(proxy.port(), "TRACE", "l5d-add-context: true", "Max-Forwards: 0")
    assert (reply.status, reply.body) == (200, b"")


def test_a_default_port_reaches_the_origin_unless_it_is_dropped() -> None:
    with (
        Downstream(ok) as origin,
        Proxy(config(origin.port)) as plain,
        Proxy(config(origin.port, client="dropDefaultPort: true")) as dropping,
    ):
        for proxy in (plain, dropping):
            for host in ("a.test:80", "a.test:443"):
                get(proxy.port(), host)
    hosts = [one.get("host") for one in origin.requests]
    assert hosts == ["a.test:80", "a.test:443", "a.test", "a.test:443"]
