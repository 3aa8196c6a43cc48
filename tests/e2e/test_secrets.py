"""Headers and credentials out of files: where they go, and every place where they must not show."""

import base64
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import load
from meshproxy.runtime.file_watch import FileWatch
from tests.kit.certs import Certs
from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import wait_until
from tests.kit.parent import HANGS_UP, Parent
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient, get

SECRET = "hush-9f8e7d"
PASSWORD = "parent-1a2b3c"
CONFIG = """
admin: {{ip: 127.0.0.1, port: 0}}
telemetry:
- {{kind: io.l5d.recentRequests, sampleRate: 1.0}}
- {{kind: io.l5d.prometheus}}
routers:
- protocol: http
  label: http
  dtab: |
    /svc/safe  => /$/inet/127.0.0.1/{safe} ;
    /svc/plain => /$/inet/127.0.0.1/{plain} ;
    /svc/open  => /$/fixedinet/127.0.0.1/{plain} ;
    /svc/gone  => /$/inet/127.0.0.1/1 ;
  egress: {{}}
  httpAccessLog: {directory}/access.log
  httpAccessLogFormat: json
  servers: [{{port: 0, ip: 127.0.0.1}}]
  client:
    kind: io.l5d.static
    configs:
    - prefix: /$
      sourceAddress: 127.0.0.9
      injectHeaders: [{{name: Authorization, file: {directory}/key, prefix: "Bearer "}}]
    - prefix: /$/inet/*/{safe}
      tls: {{commonName: web.test, trustCertsBundle: {bundle}}}
    - prefix: /$/inet/*/1
      tls: {{commonName: web.test, trustCertsBundle: {bundle}}}
      upstreamProxy: {{addresses: ["{parent}"], credentialsFile: {directory}/parent}}
    - prefix: /$/fixedinet
      injectHeaders:
      - {{name: Authorization, file: {directory}/key, prefix: "Bearer ", overPlainText: true}}
"""


@dataclass
class World:
    """A server in TLS, one in plain text, a parent that hangs up, and a proxy with secrets."""

    proxy: Proxy
    safe: Downstream
    plain: Downstream
    parent: Parent
    certs: Certs
    directory: Path
    text: str

    def look(self) -> FileWatch:
        """Look at the files now; what is broken counts in the proxy's metrics."""
        watch = self.proxy.linker._files
        watch.look()
        return watch

    def sent(self) -> list[str | None]:
        """Return what the servers got as Authorization."""
        return [one.get("authorization") for one in (*self.safe.requests, *self.plain.requests)]


def page(_: Received) -> Answer:
    return Answer(200, b"page", headers=(("X-Y", "z"),))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with ExitStack() as stack:
        certs = Certs(tmp_path)
        (tmp_path / "key").write_text(f"{SECRET}\n")
        (tmp_path / "parent").write_text(f"us:{PASSWORD}\n")
        safe = stack.enter_context(Downstream(page, context=certs.server("web.test")))
        plain = stack.enter_context(Downstream(page))
        parent = stack.enter_context(Parent(answer=HANGS_UP))
        text = CONFIG.format(
            safe=safe.port,
            plain=plain.port,
            parent=parent.address,
            directory=tmp_path,
            bundle=certs.bundle,
        )
        proxy = stack.enter_context(Proxy(text))
        yield World(proxy, safe, plain, parent, certs, tmp_path, text)


def shows(text: str | bytes) -> bool:
    """Whether *text* has a secret in it, in any form that would give it away."""
    data = unquote_plus(text if isinstance(text, str) else text.decode("latin-1"))
    credentials = f"us:{PASSWORD}"
    forms = (SECRET, PASSWORD, base64.b64encode(credentials.encode()).decode())
    return any(form in data for form in forms)


def shown_in(reply: Reply) -> bool:
    return shows(reply.body) or any(shows(value) for _, value in reply.raw)


def test_it_is_sent_over_tls_in_place_of_the_client_s(world: World) -> None:
    reply = get(world.proxy.port(), "safe", "/", "authorization: mine", "Connection: authorization")
    assert (reply.status, reply.body) == (200, b"page")
    assert world.sent() == [f"Bearer {SECRET}"]


def test_it_is_not_sent_in_plain_text_unless_that_is_wanted(world: World) -> None:
    reply = get(world.proxy.port(), "plain")
    assert (
        reply.status,
        "Not sent: Authorization" in unquote_plus(reply.get("l5d-err") or ""),
    ) == (
        502,
        True,
    )
    assert world.sent() == []
    assert get(world.proxy.port(), "open").status == 200
    assert world.sent() == [f"Bearer {SECRET}"]


def test_trace_and_connect_go_without_it(world: World) -> None:
    with WireClient(world.proxy.port()) as client:
        for host in ("safe", "plain"):
            client.send(f"TRACE / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert client.read(b"TRACE").status == 200
    assert world.sent() == [None, None]


def test_it_connects_from_the_source_address(world: World) -> None:
    assert get(world.proxy.port(), "safe").status == 200
    assert world.safe.peers == ["127.0.0.9"]


def test_endpoints_and_parents_get_them_and_clients_never(world: World) -> None:
    replies = [get(world.proxy.port(), host) for host in ("safe", "plain", "gone", "nowhere")]
    assert [one.status for one in replies] == [200, 502, 502, 502]
    assert base64.b64encode(f"us:{PASSWORD}".encode()) in world.parent.heads[0]
    assert [shown_in(one) for one in replies] == [False] * 4


def test_explain_shows_none(world: World) -> None:
    with WireClient(world.proxy.port()) as client:
        for host in (b"safe", b"gone"):
            client.send(b"TRACE / HTTP/1.1\r\nHost: %b\r\nl5d-add-context: true\r\n\r\n" % host)
            assert not shown_in(client.read(b"TRACE"))


@pytest.mark.parametrize(
    "path",
    ["/config.json", "/admin/metrics.json", "/admin/metrics/prometheus", "/requests", "/delegator"],
)
def test_no_page_of_the_admin_server_shows_one(world: World, path: str) -> None:
    for host in ("safe", "plain", "open", "gone"):
        get(world.proxy.port(), host, "/", "authorization: mine")
    reply = get(world.proxy.linker.admin_port, "localhost", path)
    assert (reply.status, shown_in(reply)) == (200, False)
    if path == "/config.json":
        assert f"{world.directory}/key" in reply.body.decode()


def test_the_tap_shows_none(world: World) -> None:
    with WireClient(world.proxy.linker.admin_port) as reader:
        reader.send(b"GET /tap?seconds=30 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = reader.sock.recv(4096)
        for host in ("safe", "plain", "open", "gone"):
            get(world.proxy.port(), host)
        while data.count(b'"path"') < 4:
            data += reader.sock.recv(65536)
        assert not shows(data)


def test_no_log_shows_one(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for host in ("safe", "plain", "open", "gone"):
        get(world.proxy.port(), host)
    for name, broken in (("key", f"{SECRET}\n{SECRET}"), ("parent", PASSWORD)):
        (world.directory / name).write_text(broken)
    world.look()
    log = world.directory / "access.log"
    wait_until(lambda: log.exists() and log.read_text().count("\n") == 4)
    assert len([one for one in caplog.records if "stays in use" in one.message]) == 2
    assert not shows(log.read_text())
    assert not shows(caplog.text)


def test_no_error_of_the_configuration_shows_one(world: World) -> None:
    for name, broken in (("key", f"{SECRET}\x00"), ("parent", PASSWORD)):
        file = world.directory / name
        before = file.read_text()
        file.write_text(broken)
        with pytest.raises(ConfigErrors) as caught:
            load(world.text, "test.yaml")
        assert str(file) in str(caught.value)
        assert not shows(str(caught.value))
        file.write_text(before)


def test_files_are_followed_and_broken_ones_leave_the_last_good_one(world: World) -> None:
    proxy, key = world.proxy, world.directory / "key"
    with WireClient(proxy.port()) as client:
        for written in ("n3xt-secret", "", "broken\x00", f"{SECRET}-new"):
            key.write_text(written)
            world.look()
            world.look()
            assert client.get("safe").status == 200
        key.unlink()
        world.look()
        assert client.get("safe").status == 200
    last = f"Bearer {SECRET}-new"
    assert world.sent() == ["Bearer n3xt-secret"] * 3 + [last] * 2
    assert proxy.counts("files", "failed") == [3]


def test_a_new_certificate_is_for_new_connections_and_old_ones_take_no_request(
    world: World,
) -> None:
    proxy, port = world.proxy, world.proxy.port()
    get(port, "safe")
    get(port, "safe")
    assert [one.connection for one in world.safe.requests] == [0, 0]
    bundle = world.certs.bundle
    good = bundle.read_text()
    bundle.write_text("no certificate")
    world.look()
    assert get(port, "safe").status == 200
    bundle.write_text(f"{good}\n")
    world.look()
    assert get(port, "safe").status == 200
    assert [one.connection for one in world.safe.requests] == [0, 0, 0, 1]
    scope = f"rt/http/client/$/inet/127.0.0.1/{world.safe.port}"
    assert proxy.counts(scope, "connects", "closes") == [2, 1]
