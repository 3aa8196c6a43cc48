"""What spans say of requests and of what became of them."""

import pytest

from meshproxy.filters.span_tags import described, outcome_tags, request_tags
from meshproxy.http.headers import of
from meshproxy.naming.path import Path


def test_the_lines_that_spans_have_are_found_in_any_order() -> None:
    fields = of((b"Transfer-Encoding", b"chunked"), (b"Host", b"web"), (b"Content-Length", b"5"))
    assert described(fields) == (fields.lines[2], b"", fields.lines[0])
    assert described(of()) == (b"", b"", b"")


def test_a_request_has_a_tag_for_all_that_it_says() -> None:
    tags = request_tags(
        "PUT",
        b"1.1",
        b"Host:web ",
        b"Content-Type: text/plain",
        b"Transfer-Encoding: chunked",
        "outgoing",
        "/a=>/b",
        Path.parse("/svc/web"),
    )
    assert tags == {
        "http.req.method": "PUT",
        "http.req.version": "HTTP/1.1",
        "http.req.host": "web",
        "http.req.content-type": "text/plain",
        "http.req.transfer-encoding": "chunked",
        "router.label": "outgoing",
        "dtab.local": "/a=>/b",
        "service": "/svc/web",
    }
    assert request_tags("GET", b"2", b"", b"", b"", "out", "", None) == {
        "http.req.method": "GET",
        "http.req.version": "HTTP/2",
        "router.label": "out",
    }


@pytest.mark.parametrize(
    ("failed", "retryable", "tag"),
    [
        (False, False, ("l5d.success", "1.0")),
        (True, True, ("l5d.retryable", "0.0")),
        (True, False, ("l5d.failure", "0.0")),
    ],
)
def test_a_response_has_its_verdict(failed: bool, retryable: bool, tag: tuple[str, str]) -> None:
    kind, coding = b"Content-Type: a/b", b"Transfer-Encoding: gzip"
    tags = outcome_tags("503" if failed else "", 503, b"1.1", kind, coding, failed, retryable)
    error = {"error": "503"} if failed else {}
    assert tags == error | {
        "http.rsp.status": "503",
        "http.rsp.version": "HTTP/1.1",
        "http.rsp.content-type": "a/b",
        "http.rsp.transfer-encoding": "gzip",
        tag[0]: tag[1],
    }


def test_no_response_leaves_the_error_only() -> None:
    assert outcome_tags("connect") == {"error": "connect"}
