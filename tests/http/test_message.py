"""Requests and responses as values."""

import math

import pytest

from meshproxy.http.headers import Headers, of
from meshproxy.http.message import REASONS, Request, Response, text_response
from tests.kit.messages import Heard


class Body:
    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_request_begins_without_limits_or_names() -> None:
    request = Request(b"GET", b"/", b"1.1", of((b"Host", b"a")))
    assert request.body is None
    assert request.deadline == math.inf
    assert (request.dst, request.bound_id, request.local_dtab, request.peer) == (None,) * 4


def test_a_client_is_told_of_informational_responses_if_it_wants_them() -> None:
    request, headers = Request(b"GET", b"/", b"1.1", Headers()), of((b"Link", b"x"))
    request.inform(103, headers)
    request.informed = heard = Heard()
    request.inform(103, headers)
    assert heard.said == [(103, [b"Link: x"])]


def test_closing_a_response_closes_its_body() -> None:
    body = Body()
    Response(200, b"OK", Headers(), body).close()
    Response(200, b"OK", Headers(), b"bytes").close()
    assert body.closed == 1


def test_a_text_is_a_whole_response() -> None:
    response = text_response(404, "caf\xe9")
    assert (response.status, response.reason) == (404, b"Not Found")
    assert response.body == "caf\xe9".encode()
    assert response.headers.lines == [b"Content-Type: text/plain", b"Content-Length: 5"]
    assert text_response(200, "", b"text/html").headers.get(b"content-type") == b"text/html"


@pytest.mark.parametrize("status", [299, 418])
def test_a_status_without_a_known_reason_has_none(status: int) -> None:
    assert text_response(status, "").reason == b""
    assert all(REASONS.values())
