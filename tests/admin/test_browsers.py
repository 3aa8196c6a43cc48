"""What a page in a browser may not do, and what its visitors' tools still may."""

import pytest

from meshproxy.admin.browsers import SameOrigin, harden
from meshproxy.errors import Forbidden
from meshproxy.http.headers import of
from meshproxy.http.message import Request, Response
from tests.kit.messages import response

CROSS = (b"Sec-Fetch-Site", b"cross-site")
SAME = (b"Sec-Fetch-Site", b"same-origin")
LINK = ((b"Sec-Fetch-Mode", b"navigate"), (b"Sec-Fetch-Dest", b"document"))
FRAME = ((b"Sec-Fetch-Mode", b"navigate"), (b"Sec-Fetch-Dest", b"iframe"))


def origin(text: bytes) -> tuple[bytes, bytes]:
    return b"Origin", text


def is_served(
    host: bytes | None, *fields: tuple[bytes, bytes], method: bytes = b"GET", tools: bool = False
) -> bool:
    """Whether a request reaches a page; *tools* says that it is a page for tools."""
    headers = of(*([(b"Host", host)] if host is not None else []), *fields)
    guard = SameOrigin(["Admin.example.com"], lambda _: tools)
    try:
        guard(Request(method, b"/page", b"1.1", headers), lambda _: response())
    except Forbidden:
        return False
    return True


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1",
        b"10.1.2.3:9990",
        b"[::1]",
        b"[fd00::1]:9990",
        b"localhost",
        b"LocalHost.:9990",
        b"admin.example.com",
        b"ADMIN.example.com.:80",
        b"",
        None,
    ],
)
def test_addresses_and_known_names_are_served(host: bytes | None) -> None:
    assert is_served(host)
    assert is_served(host, method=b"POST")


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:9990",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"admin.example.com.evil.example",
        b"example.com",
        b"2130706433",
        b"0x7f.1",
        b"web",
    ],
)
def test_a_name_that_anybody_may_point_here_is_not_served(host: bytes) -> None:
    with pytest.raises(Forbidden, match=r"use its address or localhost, or add .* admin\.hosts"):
        SameOrigin([], lambda _: False)(
            Request(b"GET", b"/", b"1.1", of((b"Host", host))), lambda _: response()
        )
    assert not is_served(host, method=b"POST")


def test_tools_may_use_any_name_where_pages_are_for_them() -> None:
    assert is_served(b"meshproxy.mesh.svc:9990", tools=True)


@pytest.mark.parametrize(
    "field",
    [
        (b"Accept-Language", b""),
        (b"Accept-Language", b"de"),
        (b"Referer", b"http://evil.example:9990/"),
        origin(b"http://evil.example:9990"),
        (b"Sec-Fetch-Site", b"same-origin"),
        (b"Sec-CH-UA", b'"Chromium"'),
    ],
)
def test_a_browser_may_use_no_unknown_name_even_for_those(field: tuple[bytes, bytes]) -> None:
    assert not is_served(b"evil.example:9990", field, tools=True)
    assert is_served(b"127.0.0.1:9990", (b"Accept-Language", b"de"), tools=True)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (b"127.0.0.1:9990", b"http://127.0.0.1:9990"),
        (b"localhost:9990", b"HTTP://LOCALHOST:9990"),
        (b"admin.example.com", b"https://admin.example.com"),
        (b"admin.example.com:443", b"https://admin.example.com"),
        (b"127.0.0.1", b"http://127.0.0.1:80"),
        (b"[::1]:9990", b"http://[::1]:9990"),
    ],
)
def test_a_page_of_this_server_may_ask(host: bytes, text: bytes) -> None:
    assert is_served(host, origin(text), method=b"POST")


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b"",
        b"http://evil.example",
        b"http://localhost:3000",
        b"http://localhost",
        b"https://localhost",
        b"http://127.0.0.1:9990",
        b"http://localhost:9990.evil.example",
        b"http://localhost:9990@evil.example",
        b"file://localhost:9990",
        b"chrome-extension://localhost:9990",
        b"localhost:9990",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST", b"OPTIONS"])
def test_a_page_of_another_origin_may_not(text: bytes, method: bytes) -> None:
    assert not is_served(b"localhost:9990", origin(text), method=method)
    assert not is_served(b"localhost:9990", origin(text), method=method, tools=True)


@pytest.mark.parametrize("site", [b"cross-site", b"same-site", b"", b"Same-Origin"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_what_a_browser_calls_another_site_is_refused(site: bytes, method: bytes) -> None:
    assert not is_served(b"localhost", (b"Sec-Fetch-Site", site), method=method)
    own = origin(b"http://localhost")
    assert not is_served(b"localhost", (b"Sec-Fetch-Site", site), own, method=method)


@pytest.mark.parametrize("site", [b"same-origin", b"none"])
def test_what_a_browser_calls_our_own_is_served_whatever_a_proxy_made_of_host(site: bytes) -> None:
    asked = (b"Sec-Fetch-Site", site), origin(b"https://admin.example.com")
    assert is_served(b"127.0.0.1:9990", *asked, method=b"POST")


def test_a_link_may_lead_here_but_neither_a_form_nor_a_frame() -> None:
    assert is_served(b"localhost", CROSS, *LINK)
    assert is_served(b"localhost", CROSS, *LINK, method=b"HEAD")
    assert not is_served(b"localhost", CROSS, *LINK, method=b"POST")
    assert not is_served(b"localhost", CROSS, *FRAME)
    assert not is_served(b"evil.example", SAME, *LINK)


def test_every_response_tells_browsers_to_do_as_little_as_possible() -> None:
    shown = harden(Request(b"GET", b"/", b"1.1", of()), lambda _: response())
    policy = (shown.headers.get(b"content-security-policy") or b"").split(b"; ")
    assert policy[0] == b"default-src 'none'"
    assert {b"frame-ancestors 'none'", b"base-uri 'none'", b"form-action 'self'"} < set(policy)
    assert not any(b"unsafe" in rule or b"*" in rule for rule in policy)
    assert [
        shown.headers.get(name)
        for name in (b"x-content-type-options", b"x-frame-options", b"cache-control")
    ] == [b"nosniff", b"DENY", b"no-store"]
    assert shown.headers.get(b"referrer-policy") == b"same-origin"
    assert shown.headers.get(b"cross-origin-resource-policy") == b"same-origin"


def test_a_page_may_say_otherwise() -> None:
    def page(_: Request) -> Response:
        return response(200, (b"Cache-Control", b"max-age=60"))

    shown = harden(Request(b"GET", b"/", b"1.1", of()), page)
    assert shown.headers.get_all(b"cache-control") == [b"max-age=60"]
