"""The admin pages as a Service: requests of the proxy's own kind in, responses out."""

from dataclasses import replace

import pytest

from meshproxy.admin.pages import Admin, AdminRequest, AdminResponse, refuse_method, text
from meshproxy.admin.service import MAX_BODY, admin_service
from meshproxy.http.message import Request, Response
from tests.kit.messages import Pieces, request


def ask(
    target: bytes = b"/page", method: bytes = b"GET", body: Pieces | None = None
) -> tuple[Response, list[AdminRequest]]:
    """Return the response, and what the page was asked."""
    asked: list[AdminRequest] = []

    def page(wanted: AdminRequest) -> AdminResponse:
        asked.append(wanted)
        return replace(text("shown\n"), headers=(("Refresh", "5"),))

    wanted = request(method=method, body=body)
    admin = Admin({"/page": page, "/post": lambda _: refuse_method("POST")})
    return admin_service(admin, Request(method, target, b"1.1", wanted.headers, body)), asked


def test_a_page_is_a_complete_response() -> None:
    answer, _ = ask()
    assert (answer.status, answer.reason, answer.body) == (200, b"OK", b"shown\n")
    assert list(answer.headers.items()) == [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"6"),
        (b"refresh", b"5"),
    ]


def test_the_page_is_given_path_query_body_and_host() -> None:
    _, asked = ask(b"/page?a=1&b=%20&a=2", b"POST", Pieces(b"bo", b"dy", chunked=True))
    assert asked == [AdminRequest("POST", "/page", {"a": "1", "b": " "}, b"body", host="web")]


def test_a_page_that_is_not_there_is_404() -> None:
    answer, asked = ask(b"/nowhere")
    assert (answer.status, answer.reason, asked) == (404, b"Not Found", [])


def test_a_method_that_does_not_work_says_which_do() -> None:
    answer, _ = ask(b"/post")
    assert (answer.status, answer.headers.get(b"allow")) == (405, b"POST")


def test_head_has_the_length_of_get() -> None:
    answer, asked = ask(method=b"HEAD")
    assert (asked[0].method, answer.headers.get(b"content-length")) == ("GET", b"6")


@pytest.mark.parametrize("target", [b"/page?\xff=\xfe", b"/%zz", b"//[", b"*", b"/\xe9"])
def test_odd_targets_are_answered(target: bytes) -> None:
    assert ask(target)[0].status in {200, 404}


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413)])
def test_a_body_has_a_limit(size: int, status: int) -> None:
    answer, asked = ask(
        method=b"POST", body=Pieces(*[b"x" * 1024] * (size // 1024), b"x" * (size % 1024))
    )
    assert answer.status == status
    assert len(asked) == (status == 200)
