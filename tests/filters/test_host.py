"""The Host that endpoints read, and the one that clients are pointed back to."""

from collections.abc import Sequence

import pytest

from meshproxy.errors import ConnectFailed
from meshproxy.filters.host import DropPort, RewriteHost
from meshproxy.http.message import Request
from tests.kit.messages import Replies, request, response

REWRITE = RewriteHost("api.internal")
URL = b"http://api.internal/login?next=api.internal"


def asking(host: bytes) -> Request:
    asked = request((b"X", b"1"))
    asked.headers.lines[0] = b"hOST: " + host
    return asked


def hosts(service: Replies) -> list[list[bytes]]:
    """Return the lines of Host in each request."""
    return [
        [one for one in lines if one.lower().startswith(b"host:")] for lines in service.requests
    ]


def test_the_endpoint_reads_its_own_name_where_the_client_s_stood() -> None:
    asked, service = asking(b"shop"), Replies(response())
    REWRITE(asked, service)
    assert service.requests == [[b"Host: api.internal", b"X: 1"]]


@pytest.mark.parametrize("serve", [REWRITE, DropPort(80)])
@pytest.mark.parametrize("reply", [response(), ConnectFailed("x")])
def test_the_client_s_host_is_back_for_another_attempt(
    serve: RewriteHost | DropPort, reply: object
) -> None:
    asked, service = asking(b"shop:80"), Replies(reply)  # type: ignore[arg-type]
    try:
        serve(asked, service)
    except ConnectFailed:
        assert isinstance(reply, ConnectFailed)
    assert hosts(service) != [[b"hOST: shop:80"]]
    assert asked.headers.lines == [b"hOST: shop:80", b"X: 1"]


@pytest.mark.parametrize("name", [b"Location", b"Refresh"])
def test_a_response_points_back_to_what_the_client_asked_for(name: bytes) -> None:
    answer = REWRITE(asking(b"shop:80"), Replies(response(302, (name, URL), (b"X", URL))))
    assert answer.headers.get(name.lower()) == b"http://shop:80/login?next=shop:80"
    assert answer.headers.get(b"x") == URL


def test_every_field_of_a_response_that_points_somewhere_is_looked_at() -> None:
    fields = ((b"Location", b"/here"), (b"refresh", b"5; url=//api.internal/"), (b"Location", URL))
    answer = REWRITE(asking(b"shop"), Replies(response(302, *fields)))
    assert answer.headers.get_all(b"location") == [b"/here", b"http://shop/login?next=shop"]
    assert answer.headers.get(b"refresh") == b"5; url=//shop/"


def test_a_client_without_a_name_is_not_pointed_to_nothing() -> None:
    answer = REWRITE(asking(b""), Replies(response(302, (b"Location", URL))))
    assert answer.headers.get(b"location") == URL


@pytest.mark.parametrize("authority", ["a\r\nX: 1", "a\0", "\N{SNOWMAN}"])
def test_what_cannot_be_a_host_is_refused(authority: str) -> None:
    with pytest.raises(ValueError, match=r"header|latin"):
        RewriteHost(authority)


@pytest.mark.parametrize(
    ("port", "host", "seen"),
    [
        (443, b"linkerd.io:443", [b"Host: linkerd.io"]),
        (443, b"[2001:db8::1]:443", [b"Host: [2001:db8::1]"]),
        (443, b"linkerd.io.:0443", [b"Host: linkerd.io"]),
        (80, b"linkerd.io:", [b"hOST: linkerd.io:"]),
        (80, b"linkerd.io:80", [b"Host: linkerd.io"]),
        (443, b"linkerd.io:80", [b"hOST: linkerd.io:80"]),
        (443, b"linkerd.io:8443", [b"hOST: linkerd.io:8443"]),
        (443, b"[2001:db8::443]", [b"hOST: [2001:db8::443]"]),
        (80, b"linkerd.io", [b"hOST: linkerd.io"]),
        (80, b"", [b"hOST: "]),
    ],
)
def test_only_the_port_of_the_scheme_is_left_out(
    port: int, host: bytes, seen: Sequence[bytes]
) -> None:
    service = Replies(response())
    DropPort(port)(asking(host), service)
    assert hosts(service) == [seen]
