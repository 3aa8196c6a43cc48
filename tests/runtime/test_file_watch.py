"""Certificates of servers are followed, and their connections with them."""

from pathlib import Path

import pytest

from tests.kit.certs import Certs
from tests.kit.downstream import Downstream
from tests.kit.proxy import Proxy
from tests.kit.wire import WireClient

CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
routers:
- protocol: http
  dtab: /svc => /$/inet/127.0.0.1/{port}
  servers:
  - {{port: 0, ip: 127.0.0.1, tls: {{certPath: {chain}, keyPath: {key}}}}}
"""


def serial(client: WireClient) -> str:
    found = client.sock.getpeercert()
    assert found
    return str(found["serialNumber"])


def test_a_server_s_new_certificate_ends_the_connections_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("meshproxy.runtime.file_watch.PERIOD_SECONDS", 0.02)
    certs = Certs(tmp_path)
    chain, key = certs.files("proxy.test")
    with Downstream(lambda _: b"page") as web:
        text = CONFIG.format(port=web.port, chain=chain, key=key)
        with Proxy(text) as proxy:

            def ask() -> WireClient:
                client = WireClient(proxy.port(), certs.client(), "proxy.test")
                assert client.get("web").status == 200
                return client

            with ask() as before:
                chain.write_text("broken")
                proxy.wait_count("files", "failed")
                assert before.get("web").status == 200
                with ask() as still:
                    assert serial(still) == serial(before)
                certs.files("proxy.test")
                assert before.read_to_end() == b""
                with ask() as after:
                    assert serial(after) != serial(before)
    lines = [one.message for one in caplog.records if "stays in use" in one.message]
    assert lines
    assert f"cannot use {chain}, {key}" in lines[0]
    assert "not a certificate in PEM with its key" in lines[0]
