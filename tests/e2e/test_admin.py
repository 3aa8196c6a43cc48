"""The admin server's own keys, in a whole proxy."""

import json
import logging
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import pytest
from gevent import socket

from tests.kit.certs import Certs
from tests.kit.downstream import Downstream
from tests.kit.proxy import Proxy
from tests.kit.wire import Reply, WireClient, get

ROUTER = """
routers:
- protocol: http
  dtab: /svc => /srv ;
  servers: [{port: 0, ip: 127.0.0.1}]
"""


def test_the_identifier_port_names_requests() -> None:
    admin = "admin: {port: 0, httpIdentifierPort: 0}\n"
    with Proxy(admin + ROUTER) as proxy:
        reply = get(proxy.identifier_port, "hello", "/")
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


# --- browsers ---

PORTS = "admin: {port: 0, httpIdentifierPort: 0}\ntelemetry: [{kind: io.l5d.prometheus}]\n"
BROWSER = "Accept-Language: en"
REBOUND = "evil.example:9990"
PAGES = ("/", "/config.json", "/admin/metrics.json", "/admin/metrics/prometheus", "/ready", "/no")


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(lambda _: b"served") as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy(PORTS + ROUTER) as running:
        yield running


def post(proxy: Proxy, host: str, target: str, *fields: str) -> Reply:
    with WireClient(proxy.linker.admin_port) as client:
        lines = [f"POST {target} HTTP/1.1", f"Host: {host}", *fields, "Content-Length: 0", "", ""]
        client.send("\r\n".join(lines).encode())
        return client.read(b"POST")


def test_a_rebound_name_reads_nothing(proxy: Proxy) -> None:
    replies = [get(proxy.linker.admin_port, REBOUND, page, BROWSER) for page in PAGES]
    assert [reply.status for reply in replies] == [403] * len(PAGES)
    assert all(b"admin.hosts" in reply.body for reply in replies)
    assert proxy.counts("admin/127.0.0.1/0", "failures/forbidden") == [len(PAGES)]


@pytest.mark.parametrize(
    ("host", "fields"),
    [
        pytest.param(REBOUND, (), id="rebound"),
        pytest.param("localhost", ("Origin: https://evil.example",), id="form"),
        pytest.param("localhost", ("Origin: null",), id="sandboxed form"),
        pytest.param("0.0.0.0", ("Origin: https://evil.example",), id="any address"),
        pytest.param("localhost", ("Sec-Fetch-Site: cross-site",), id="script"),
    ],
)
def test_no_page_of_another_site_stops_the_proxy(
    proxy: Proxy, host: str, fields: tuple[str, ...]
) -> None:
    assert post(proxy, host, "/admin/shutdown", *fields).status == 403
    assert post(proxy, host, "/admin/reload", *fields).status == 403
    assert get(proxy.port(), "web").status == 502
    assert get(proxy.linker.admin_port, "localhost", "/ready").body == b"ready\n"


def test_a_scraper_may_use_the_name_of_a_service_for_numbers_and_probes_only(proxy: Proxy) -> None:
    pages = {
        "/live": 200,
        "/ready": 200,
        "/admin/metrics/prometheus": 200,
        "/admin/metrics.json?tree=1": 200,
        "/config.json": 403,
        "/": 403,
        "/%61dmin/metrics.json": 403,
    }
    port = proxy.linker.admin_port
    assert {page: get(port, "meshproxy.mesh.svc:9990", page).status for page in pages} == pages
    assert post(proxy, "meshproxy.mesh.svc:9990", "/admin/metrics.json").status == 403


def test_a_name_in_the_configuration_is_one_of_this_server() -> None:
    with Proxy("admin: {port: 0, hosts: [mesh.example.com]}\n" + ROUTER) as proxy:
        asked = get(proxy.linker.admin_port, "mesh.example.com", "/config.json", BROWSER)
        assert asked.status == 200
        assert b"mesh.example.com" in asked.body
        own = "Origin: https://mesh.example.com"
        assert post(proxy, "mesh.example.com", "/admin/shutdown?grace=never", own).status == 400


@pytest.mark.parametrize(("ip", "status"), [("0.0.0.0", 200), ("127.0.0.1", 403)])
def test_the_name_of_the_machine_is_known_where_other_machines_may_ask(
    ip: str, status: int
) -> None:
    with Proxy(f"admin: {{ip: {ip}, port: 0}}\n" + ROUTER) as proxy:
        own = socket.gethostname()
        assert get(proxy.linker.admin_port, own, "/config.json").status == status


def test_the_identifier_port_is_asked_for_any_host_but_not_by_a_browser(proxy: Proxy) -> None:
    port = proxy.identifier_port
    assert get(port, REBOUND, "/").status == 200
    refused = get(port, REBOUND, "/", BROWSER)
    assert (refused.status, b"/svc" in refused.body) == (403, False)
    assert get(port, "localhost", "/", "Origin: https://evil.example").status == 403
    assert get(port, f"localhost:{port}", "/", BROWSER).status == 200


@pytest.mark.parametrize("request_line", [*(f"GET {page} HTTP/1.1" for page in PAGES), "nonsense"])
@pytest.mark.parametrize("host", ["localhost", REBOUND])
def test_every_answer_keeps_browsers_from_using_it(
    proxy: Proxy, request_line: str, host: str
) -> None:
    for port in (proxy.linker.admin_port, proxy.identifier_port):
        with WireClient(port) as client:
            client.send(f"{request_line}\r\nHost: {host}\r\n{BROWSER}\r\n\r\n".encode())
            reply = client.read()
            assert "default-src 'none'" in (reply.get("content-security-policy") or "")
            assert reply.get("x-content-type-options") == "nosniff"
            assert reply.get("cache-control") == "no-store"
            assert reply.get("access-control-allow-origin") is None


def test_no_page_shows_a_token() -> None:
    token = "namers: [{kind: io.l5d.consul, port: 1, token: s3cret}]\n"
    with Proxy("admin: {port: 0}\n" + token + ROUTER) as proxy:
        port = proxy.linker.admin_port
        assert b'"***"' in get(port, "localhost", "/config.json").body
        assert [
            path for path in index(port) if b"s3cret" in get(port, "localhost", path).body
        ] == []


# --- every page ---


_ACTIONS = ("/admin/drain", "/admin/endpoint", "/admin/reload", "/admin/shutdown")
_STATUSES = {**dict.fromkeys(_ACTIONS, 405), "/delegator.json": 400, "/explain": 400, "/tap": 400}


def index(port: int) -> list[str]:
    return get(port, "localhost", "/admin").body.decode().splitlines()


def check_every_page_answers(port: int) -> None:
    paths = index(port)
    replies = {path: get(port, "localhost", path) for path in paths}
    assert {path: reply.status for path, reply in replies.items()} == {
        path: _STATUSES.get(path, 200) for path in paths
    }
    for page in ("/", "/help", "/logging"):
        for link in re.findall(r'(?:href|src)="([^"]*)"', replies[page].body.decode()):
            assert get(port, "localhost", urljoin(page, unescape(link))).status in {200, 400}


def test_every_page_of_the_index_answers_and_every_link_leads_on(
    proxy: Proxy,
) -> None:
    port = proxy.linker.admin_port
    assert {"/bound-names.json", "/client_state.json", "/logging", "/help"} < {*index(port)}
    check_every_page_answers(port)
    assert index(port) == get(port, "localhost", "/admin/").body.decode().splitlines()


def test_a_client_and_its_addresses_are_shown(origin: Downstream, tmp_path: Path) -> None:
    (tmp_path / "web").write_text(f"127.0.0.1 {origin.port}")
    namer = f"namers: [{{kind: io.l5d.fs, rootDir: {tmp_path}}}]\n"
    router = ROUTER.replace("/srv", "/#/io.l5d.fs")
    with Proxy("admin: {port: 0}\n" + namer + router) as proxy:
        port = proxy.linker.admin_port
        assert json.loads(get(port, "localhost", "/client_state.json").body) == {}
        assert get(proxy.port(), "web").status == 200
        found = json.loads(get(port, "localhost", "/client_state.json").body)
        address = f"127.0.0.1:{origin.port}"
        kept = {"connections": 1, "idle": 1, "streams": None}
        assert found == {
            "/#/io.l5d.fs/web": {
                "state": "bound",
                "addresses": [address],
                "connections": {address: kept},
            }
        }
        found = get(port, "localhost", "/endpoints.json?router=http&client=/%23/io.l5d.fs/web")
        (endpoint,) = json.loads(found.body)
        assert (endpoint["address"], endpoint["state"]) == (address, "alive")
        assert endpoint.items() >= kept.items()
        none = get(port, "localhost", "/endpoints.json?router=other&client=/%23/io.l5d.fs/web")
        assert (none.status, none.body) == (200, b"[]")
        (row,) = json.loads(get(port, "localhost", "/overview.json").body)["routers"]
        assert (row["requests"], row["clients"]["rows"][0]["available"]) == (1, 1)
        names = json.loads(get(port, "localhost", "/bound-names.json").body)
        assert names == ["/#/io.l5d.fs/web"]


def test_a_level_is_set_by_a_form_and_by_no_page_of_another_site(proxy: Proxy) -> None:
    logger, before = logging.getLogger("meshproxy.var"), logging.getLogger("meshproxy.var").level
    target = "/logging.json?logger=meshproxy.var&level=ERROR"
    try:
        assert post(proxy, "localhost", target, "Origin: http://evil.example").status == 403
        assert logger.level == before
        assert post(proxy, "localhost", target).status == 200
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(before)


def test_the_waiting_greenlets_are_shown(proxy: Proxy) -> None:
    with WireClient(proxy.port()) as client:
        assert client.get("web").status == 502
        body = get(proxy.linker.admin_port, "localhost", "/admin/threads").body
    assert re.search(
        rb"^1 x .*\n(      .*\n)* +meshproxy/server/h1/connection.py:", body, re.MULTILINE
    )


def test_a_name_is_delegated_step_by_step(proxy: Proxy) -> None:
    port = proxy.linker.admin_port
    found = json.loads(get(port, "localhost", "/delegator.json?namespace=http&path=/svc/a").body)
    assert (found["type"], found["path"]) == ("delegate", "/svc/a")
    assert found["delegate"]["dentry"] == {"prefix": "/svc", "dst": "/srv"}
    assert found["delegate"]["type"] == "neg"
    page = get(port, "localhost", "/delegator?router=http")
    assert b"/svc =&gt; /srv ;" in page.body
    assert get(port, "localhost", "/delegator?router=other").status == 404


def test_a_proxy_that_is_drained_is_not_ready_and_serves_on(proxy: Proxy) -> None:
    port = proxy.linker.admin_port
    assert post(proxy, "localhost", "/admin/drain", "Origin: http://evil.example").status == 403
    assert get(port, "localhost", "/ready").status == 200
    assert post(proxy, "localhost", "/admin/drain").body == b"draining\n"
    reply = get(port, "localhost", "/ready")
    assert (reply.status, reply.body) == (503, b"draining\n")
    assert get(proxy.port(), "web").status == 502
    shown = json.loads(get(port, "localhost", "/overview.json").body)
    assert shown["problems"] == [{"what": "Not ready: draining"}]
    assert post(proxy, "localhost", "/admin/drain?undo=1").body == b"no longer draining\n"
    assert get(port, "localhost", "/ready").status == 200


def test_an_endpoint_is_marked_by_hand_and_tells_so(origin: Downstream, tmp_path: Path) -> None:
    (tmp_path / "web").write_text(f"127.0.0.1 {origin.port}")
    namer = f"namers: [{{kind: io.l5d.fs, rootDir: {tmp_path}}}]\n"
    router = ROUTER.replace("/srv", "/#/io.l5d.fs")
    with Proxy("admin: {port: 0}\n" + namer + router) as proxy:
        port = proxy.linker.admin_port
        assert get(proxy.port(), "web").status == 200
        target = "router=http&client=/%23/io.l5d.fs/web"
        marked = f"/admin/endpoint?{target}&address=127.0.0.1:{origin.port}&state="
        assert post(proxy, "localhost", marked + "dead", "Sec-Fetch-Site: cross-site").status == 403
        assert post(proxy, "localhost", marked + "dead&seconds=60").status == 200
        (endpoint,) = json.loads(get(port, "localhost", f"/endpoints.json?{target}").body)
        assert endpoint["state"] == "dead"
        assert 50 < endpoint["seconds_out"] <= 60
        shown = json.loads(get(port, "localhost", "/overview.json").body)
        assert shown["problems"][0]["what"].startswith("1 of 1 endpoints of /#/io.l5d.fs/web out")
        assert post(proxy, "localhost", marked + "alive").status == 200
        (endpoint,) = json.loads(get(port, "localhost", f"/endpoints.json?{target}").body)
        assert endpoint["state"] == "alive"
        wanted = f"/events.json?q=127.0.0.1:{origin.port}"
        events = json.loads(get(port, "localhost", wanted).body)
        assert [event["text"] for event in events] == [
            "marked alive by hand",
            "marked dead for 60.0 s: by hand",
        ]
