"""What each router would call a request."""

import json

from meshproxy.admin.identify import identify_service
from meshproxy.errors import UnidentifiedRequest
from meshproxy.http.headers import of
from meshproxy.http.message import Request
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path


def by_host(request: Request) -> Path:
    request.target = b"/consumed"
    return Path.of("svc", request.headers.get(b"host") or b"")


def declining(_: Request) -> Path:
    raise UnidentifiedRequest("Unknown destination")


def request(*fields: tuple[bytes, bytes]) -> Request:
    return Request(b"GET", b"/x", b"1.1", of((b"Host", b"web"), *fields))


def test_every_router_answers_with_a_name_or_a_reason() -> None:
    routers = {
        "out": (by_host, Dtab.parse("/svc=>/srv")),
        "in": (declining, Dtab()),
    }
    asked = request((b"l5d-dtab", b"/svc=>/other"))
    response = identify_service(routers, asked)
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {
        "out": {"path": "/svc/web", "dtab": "/svc=>/srv;/svc=>/other"},
        "in": {"error": "Unknown destination"},
    }
    assert (asked.target, asked.headers.get(b"l5d-dtab")) == (b"/x", b"/svc=>/other")


def test_a_bad_dtab_header_is_a_reason() -> None:
    asked = request((b"l5d-dtab", b"nonsense"))
    response = identify_service({"out": (by_host, Dtab())}, asked)
    assert isinstance(response.body, bytes)
    assert "'/' expected" in json.loads(response.body)["out"]["error"]
