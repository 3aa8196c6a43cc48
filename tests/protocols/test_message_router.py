"""One listener, the protocols that it takes, and what both of them share."""

import ssl
from pathlib import Path

import pytest
from gevent import socket

from meshproxy.config.errors import ConfigErrors, Severity
from meshproxy.config.load import read
from meshproxy.protocols.message_router import log_problems
from tests.kit.certs import Certs
from tests.kit.downstream import Downstream
from tests.kit.h2_endpoint import H2Endpoint
from tests.kit.h2_wire import GET, H2Wire
from tests.kit.proxy import Proxy
from tests.kit.wire import dial, get

ROUTER = """
admin: {{port: 0}}
routers:
- protocol: {protocol}
  label: r
  dtab: /svc => /$/inet/127.0.0.1/{port}
  servers: [{{port: 0, protocol: {spoken}{more}}}]
"""


def config(protocol: str, spoken: str, port: int, more: str = "") -> str:
    return ROUTER.format(protocol=protocol, spoken=spoken, port=port, more=more)


def status_by_h2(sock: socket.socket, *fields: tuple[str, str]) -> str:
    """Return the status of a GET over *sock*."""
    wire = H2Wire(sock)
    wire.ask((*GET, *fields))
    for event in wire.events():
        if type(event).__name__ == "ResponseReceived":
            return str(dict(event.headers)[":status"])
    raise AssertionError("no response")


def test_a_server_of_an_http_router_takes_both() -> None:
    with Downstream(lambda _: b"ok") as origin, Proxy(config("http", "auto", origin.port)) as proxy:
        assert get(proxy.port("r"), "web").status == 200
        with dial(("127.0.0.1", proxy.port("r"))) as sock:
            assert status_by_h2(sock) == "200"
        assert [seen.get("via") for seen in origin.requests] == ["1.1 linkerd", "2 linkerd"]


def test_a_server_of_an_h2_router_takes_both() -> None:
    with H2Endpoint() as origin, Proxy(config("h2", "auto", origin.port)) as proxy:
        assert get(proxy.port("r"), "web").status == 200
        with dial(("127.0.0.1", proxy.port("r"))) as sock:
            assert status_by_h2(sock) == "200"
        (peer,) = origin.peers
        assert [head["via"] for head in peer.heads.values()] == ["1.1 linkerd", "2 linkerd"]


def test_limits_of_heads_are_the_router_s_for_both() -> None:
    with Proxy(config("http", "auto", 1) + "  maxHeaderCount: 6\n") as proxy:
        assert get(proxy.port("r"), "web", "/", *(f"X-{n}: 1" for n in range(9))).status == 431
        with dial(("127.0.0.1", proxy.port("r"))) as sock:
            assert status_by_h2(sock, *((f"x-{n}", "1") for n in range(9))) == "431"


def test_a_router_reaches_endpoints_of_the_other_protocol() -> None:
    client = "  client: {protocol: h2, maxFrameBytes: 20000}\n"
    with H2Endpoint() as origin, Proxy(config("http", "same", origin.port) + client) as proxy:
        assert get(proxy.port("r"), "web").body == b"ok"
        (head,) = origin.peers[0].heads.values()
        assert (head[":authority"], head["via"]) == ("web", "1.1 linkerd")
    client = "  client: {protocol: http}\n"
    origin_1 = Downstream(lambda _: b"ok")
    with origin_1 as origin, Proxy(config("h2", "same", origin.port) + client) as proxy:
        with dial(("127.0.0.1", proxy.port("r"))) as sock:
            assert status_by_h2(sock) == "200"
        assert origin.requests[0].get_all("host") == ["web"]


def test_http_1_gets_a_response_where_http_2_gets_a_reset() -> None:
    more = "}]\n  identifier: {kind: io.l5d.header.token, header: x-name"
    text = config("h2", "auto", 1).replace("protocol: auto}]", f"protocol: auto{more}}}")
    with Proxy(text) as proxy:
        reply = get(proxy.port("r"), "web")
        assert (reply.status, reply.get("l5d-err") is not None) == (400, True)


@pytest.mark.parametrize(
    ("spoken", "offered", "chosen"),
    [
        ("h2", ["h2", "http/1.1"], "h2"),
        ("auto", ["http/1.1", "h2"], "h2"),
        ("auto", ["http/1.1"], "http/1.1"),
        ("http", ["h2", "http/1.1"], "http/1.1"),
    ],
)
def test_tls_offers_what_the_server_takes(
    spoken: str, offered: list[str], chosen: str, tmp_path: Path
) -> None:
    certs = Certs(tmp_path)
    chain, key = certs.files("pair.test")
    tls = f", tls: {{certPath: {chain}, keyPath: {key}}}"
    with H2Endpoint() as origin, Proxy(config("h2", spoken, origin.port, tls)) as proxy:
        context: ssl.SSLContext = certs.client()
        context.set_alpn_protocols(offered)
        raw = dial(("127.0.0.1", proxy.port("r")))
        with context.wrap_socket(raw, server_hostname="pair.test") as sock:
            assert sock.selected_alpn_protocol() == chosen
            if chosen == "h2":
                assert status_by_h2(sock) == "200"


def test_keys_of_the_other_protocol_need_a_server_that_takes_it() -> None:
    text = "routers: [{protocol: http, servers: [{port: 0, maxFrameBytes: 16384%s}]}]"
    assert read(text % ", protocol: auto", "f").warnings == ()
    with pytest.raises(ConfigErrors, match="maxFrameBytes: only h2 has this"):
        read(text % "", "f")


def test_a_log_needs_a_directory_and_a_known_policy(tmp_path: Path) -> None:
    found = [(one.key, one.severity) for one in log_problems(f"{tmp_path}/a/b", "often", "xLog")]
    assert found == [("xLog", Severity.WARNING), ("xLogRollPolicy", Severity.ERROR)]
    assert list(log_problems(f"{tmp_path}/a", "daily", "xLog")) == []
