"""The headers of one hop further, on the way there and on the way back."""

import pytest

from meshproxy.filters.context import ReadContext
from meshproxy.filters.forwarding import DstClient, Forward
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path
from meshproxy.service import stack
from tests.kit.messages import Replies, request, response
from tests.kit.streams import Streaming, stream_response

WEB = Path.parse("/svc/web")
ID = Path.parse("/$/inet/127.1/80")


def seen(*fields: tuple[bytes, bytes], version: bytes = b"1.1") -> dict[bytes, bytes]:
    """Return what an endpoint sees of *fields*."""
    asked = request(*fields, version=version)
    Forward(WEB)(asked, Replies(response()))
    return dict(asked.headers.items())


HOP_BY_HOP = [
    b"Connection",
    b"Keep-Alive",
    b"Proxy-Connection",
    b"TE",
    b"Trailer",
    b"Transfer-Encoding",
    b"Upgrade",
    b"Proxy-Authenticate",
    b"Proxy-Authorization",
]
ONLY_HTTP1 = HOP_BY_HOP[:-2]


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"2"])
@pytest.mark.parametrize("name", [b"X-Plain", b"Via", *HOP_BY_HOP])
def test_it_makes_no_difference_who_has_looked_for_unusual_fields(
    name: bytes, version: bytes
) -> None:
    asked = request((name, b"1.1 other"), (b"Host", b"web"), version=version)
    stack([ReadContext(Tree(), 1000), Forward(WEB)], Replies(response()))(asked)
    assert asked.is_plain is (name == b"X-Plain" or (version == b"2" and name in ONLY_HTTP1))
    assert dict(asked.headers.items()) == seen(
        (name, b"1.1 other"), (b"Host", b"web"), version=version
    )


@pytest.mark.parametrize("name", HOP_BY_HOP)
def test_hop_by_hop_fields_go_no_further_in_either_direction(name: bytes) -> None:
    assert name.lower() not in seen((name, b"x"), (name, b"y"))
    answer = Forward(WEB)(request(), Replies(response(200, (name, b"x"), (b"X-Kept", b"1"))))
    assert answer.headers.names == [b"x-kept", b"via", b"l5d-success-class"]


def test_what_connection_names_goes_no_further_in_either_direction() -> None:
    fields = ((b"Connection", b"close, X-Mine"), (b"X-Mine", b"1"), (b"connection", b" x-TOO "))
    found = seen(*fields, (b"X-Too", b"1"), (b"X-Kept", b"1"))
    assert not {b"connection", b"x-mine", b"x-too"} & set(found)
    assert found[b"x-kept"] == b"1"
    answer = Forward(WEB)(request(), Replies(response(200, *fields, (b"X-Too", b"1"))))
    assert answer.headers.names == [b"via", b"l5d-success-class"]


def test_naming_does_not_take_away_what_framing_and_trust_need() -> None:
    kept = [b"Host", b"Content-Length", b"Via", b"Cookie", b"l5d-ctx-dtab"]
    found = seen(
        (b"Connection", b", ".join(kept)),
        (b"Content-Length", b"0"),
        (b"Via", b"1.1 a"),
        (b"Cookie", b"a=b"),
        (b"l5d-ctx-dtab", b"/a=>/b"),
    )
    assert {name.lower() for name in kept} <= set(found)
    assert found[b"via"] == b"1.1 a, 1.1 linkerd"


def test_the_name_is_added_after_the_stripping() -> None:
    found = seen((b"Connection", b"l5d-dst-service, via"))
    assert (found[b"l5d-dst-service"], found[b"via"]) == (b"/svc/web", b"1.1 linkerd")


def test_a_request_without_host_gets_an_empty_one() -> None:
    asked = request(version=b"1.0")
    asked.headers.remove(b"host")
    Forward(WEB)(asked, Replies(response()))
    assert asked.headers.get(b"host") == b""


def test_the_response_names_the_version_it_came_with() -> None:
    old = response()
    old.version = b"1.0"
    assert Forward(WEB)(request(), Replies(old)).headers.get(b"via") == b"1.0 linkerd"


def test_repeated_fields_stay_repeated_and_in_order() -> None:
    fields = ((b"Set-Cookie", b"a=1"), (b"X", b"1"), (b"Set-Cookie", b"b=2"))
    answer = Forward(WEB)(request(), Replies(response(200, *fields)))
    assert answer.headers.get_all(b"set-cookie") == [b"a=1", b"b=2"]


@pytest.mark.parametrize(("failed", "value"), [(False, b"1.0"), (True, b"0.0")])
def test_the_verdict_of_the_classifier_replaces_the_endpoint_s(
    *, failed: bool, value: bytes
) -> None:
    answer = response(200, (b"l5d-success-class", b"0.5"), (b"L5d-Success-Class", b"0.7"))
    answer.failed = failed
    found = Forward(WEB)(request(), Replies(answer))
    assert found.headers.get_all(b"l5d-success-class") == [value]


def test_the_bound_name_is_told_with_what_is_left_over() -> None:
    asked = request()
    DstClient(ID, Path.parse("/left/over"))(asked, Replies(response()))
    assert asked.headers.get(b"l5d-dst-client") == b"/$/inet/127.1/80"
    assert asked.headers.get(b"l5d-dst-residual") == b"/left/over"
    assert asked.bound_id == ID


def test_nothing_left_over_is_not_told() -> None:
    asked = request()
    DstClient(ID, Path())(asked, Replies(response()))
    assert b"l5d-dst-residual" not in asked.headers


def test_another_attempt_replaces_what_the_one_before_has_told() -> None:
    asked = request()
    other = Path.parse("/#/io.l5d.fs/web")
    DstClient(ID, Path.parse("/left"))(asked, Replies(response()))
    DstClient(other, Path())(asked, Replies(response()))
    assert asked.headers.get_all(b"l5d-dst-client") == [b"/#/io.l5d.fs/web"]
    assert b"l5d-dst-residual" not in asked.headers


def test_names_are_told_in_their_escaped_form() -> None:
    asked = request()
    Forward(Path.of("svc", b"a\r\nX: 1"))(asked, Replies(response()))
    assert b"\r" not in b"".join(asked.headers.lines)


# --- HTTP/2 ---


def test_te_stays_and_credentials_for_proxies_go_no_further() -> None:
    fields = ((b"te", b"trailers"), (b"proxy-authorization", b"x"), (b"trailer", b"grpc-status"))
    assert seen(*fields, version=b"2") == {
        b"host": b"web",
        b"te": b"trailers",
        b"trailer": b"grpc-status",
        b"via": b"2 linkerd",
        b"l5d-dst-service": b"/svc/web",
    }


@pytest.mark.parametrize("failed", [True, False])
def test_a_whole_response_says_in_its_head_how_it_turned_out(failed: bool) -> None:
    answer = stream_response(b"", (b"l5d-success-class", b"9"), (b"via", b"1.1 front"))
    answer.failed = failed
    answer = Forward(WEB)(request(version=b"2"), Replies(answer))
    assert list(answer.headers.items()) == [
        (b"via", b"1.1 front, 2 linkerd"),
        (b"l5d-success-class", b"0.0" if failed else b"1.0"),
    ]


@pytest.mark.parametrize("failed", [True, False])
def test_a_plain_response_says_so_too(failed: bool) -> None:
    answer = stream_response(b"", (b"x-own", b"1"))
    answer.failed = failed
    answer = Forward(WEB)(request(version=b"2"), Replies(answer))
    assert answer.headers.names == [b"x-own", b"via", b"l5d-success-class"]
    assert answer.headers.get("l5d-success-class") == ("0.0" if failed else "1.0")


@pytest.mark.parametrize("failed", [True, False])
def test_a_response_that_is_still_arriving_says_so_in_its_trailers(failed: bool) -> None:
    body = Streaming(b"", (b"grpc-status", b"0"))
    answer = Forward(WEB)(request(version=b"2"), Replies(stream_response(body)))
    assert answer.headers.names == [b"via"]
    answer.failed = failed
    body.end()
    assert body.trailers is not None
    assert body.trailers.get("l5d-success-class") == ("0.0" if failed else "1.0")


def test_without_trailers_nothing_is_said() -> None:
    for broken in (False, True):
        body = Streaming(b"data")
        Forward(WEB)(request(version=b"2"), Replies(stream_response(body)))
        body.end(broken=broken)
        assert body.trailers is None
