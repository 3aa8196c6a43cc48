"""The admin server's own keys, in a whole proxy."""

from pathlib import Path

from tests.kit.certs import Certs
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient, get

ROUTER = """
routers:
- protocol: http
  dtab: /svc => /srv ;
  servers: [{port: 0, ip: 127.0.0.1}]
"""


def test_the_identifier_port_names_requests() -> None:
    admin = "admin: {port: 0, httpIdentifierPort: 0}\n"
    with Proxy(admin + ROUTER) as proxy:
        reply = get(proxy.linker.identifier_port, "hello", "/")
        assert reply.status == 200
        assert b'"path": "/svc/hello"' in reply.body


def test_a_closed_category_is_not_found() -> None:
    admin = "admin: {port: 0, security: {controlEnabled: false}}\n"
    with Proxy(admin + ROUTER) as proxy:
        assert get(proxy.linker.admin_port, "localhost", "/admin/shutdown").status == 404
        assert get(proxy.linker.admin_port, "localhost", "/admin/ping").status == 200


def test_the_admin_server_speaks_tls(tmp_path: Path) -> None:
    certs = Certs(tmp_path)
    cert, key = certs.files("localhost")
    admin = f"admin: {{port: 0, tls: {{certPath: {cert}, keyPath: {key}}}}}\n"
    context = certs.client()
    with (
        Proxy(admin + ROUTER) as proxy,
        WireClient(proxy.linker.admin_port, context, "localhost") as client,
    ):
        assert client.get("localhost", "/admin/ping").body == b"pong"
