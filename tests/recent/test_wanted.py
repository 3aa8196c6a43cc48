"""Which requests are asked for."""

import pytest

from meshproxy.recent.wanted import Wanted
from tests.kit.recent import ended

ONE = ended(status=503, reason="connect", latency_ms=20.0, body_ms=5.0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, True),
        ({"status": "5xx"}, True),
        ({"status": "404, 503"}, True),
        ({"status": "4xx"}, False),
        ({"status": "none"}, False),
        ({"name": "/svc/web"}, True),
        ({"name": "/svc/"}, True),
        ({"name": "/svc/we"}, False),
        ({"name": "/#/io.l5d.fs"}, True),
        ({"name": "web"}, True),
        ({"name": "other"}, False),
        ({"router": "outgoing"}, True),
        ({"router": "incoming"}, False),
        ({"endpoint": "127.0.0.1:80"}, True),
        ({"endpoint": "127.0.0.1:8"}, False),
        ({"slower": "24.9"}, True),
        ({"slower": "25"}, False),
        ({"q": "CONN"}, True),
        ({"q": "nowhere"}, False),
        ({"failed": "1"}, True),
        ({"failed": "0"}, False),
        ({"status": "5xx", "name": "other"}, False),
        ({"limit": "3"}, True),
    ],
)
def test_all_that_is_asked_for_must_match(query: dict[str, str], found: bool) -> None:
    assert Wanted.of(query).matches(ONE) is found


def test_a_request_is_found_by_the_endpoint_of_an_earlier_attempt() -> None:
    retried = ended(earlier=[["/#/io.l5d.fs/web", "127.0.0.1:81", "status 503", 3.0, 4.0]])
    for endpoint, found in (
        ("127.0.0.1:81", True),
        ("127.0.0.1:80", True),
        ("127.0.0.1:82", False),
    ):
        assert Wanted.of({"endpoint": endpoint}).matches(retried) is found


def test_a_client_that_left_is_found_by_none_alone() -> None:
    left = ended(status=None, reason="client_gone")
    assert Wanted.of({"status": "none"}).matches(left)
    assert not Wanted.of({"status": "5xx"}).matches(left)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("status", "6xx", "'6xx' is not a status"),
        ("status", "5xx,oops", "'oops' is not a status"),
        ("slower", "fast", "slower is 'fast'"),
        ("slower", "-1", "slower is '-1'"),
        ("slower", "inf", "slower is 'inf'"),
        ("slower", "nan", "slower is 'nan'"),
        ("failed", "yes", "failed is 'yes'"),
    ],
)
def test_what_cannot_be_read_is_refused(key: str, value: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Wanted.of({key: value})
