"""Requests that are only asked about."""

import pytest

from meshproxy.admin.asked import asked_request


def test_a_request_is_read_as_a_server_reads_it() -> None:
    request = asked_request("post https://web:8443/a?b", ["X-A: 1", "", "x-b: 2"])
    assert (request.method, request.target, request.scheme) == (b"post", b"/a?b", b"https")
    assert request.headers.get(b"host") == b"web:8443"
    assert request.headers.get(b"x-b") == b"2"
    assert asked_request("http://web", []).method == b"GET"
    assert asked_request("GET /", ["Host: web"]).headers.get(b"host") == b"web"
    assert asked_request("CONNECT web:443", []).headers.get(b"host") == b"web:443"


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", []),
        ("GET http://web/ HTTP/1.1", []),
        ("GET web", []),
        ("GET http://we b/", []),
        ("GET /", ["no field"]),
        ("GET /", ["Host: a", "Host: b"]),
        ("GET /\u20ac", []),
        ("GET /" + 9000 * "a", []),
    ],
)
def test_what_could_not_be_sent_is_refused(line: str, fields: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        asked_request(line, fields)
