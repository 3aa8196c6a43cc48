"""How far a message has come, by the proxies that it names."""

import pytest

from meshproxy.http import via
from meshproxy.http.headers import Headers, of


def fields(*values: bytes) -> Headers:
    return of((b"X", b"1.1 linkerd"), *((b"Via", value) for value in values))


@pytest.mark.parametrize(
    ("values", "proxies"),
    [
        ([], 0),
        ([b"1.1 a"], 1),
        ([b"1.1 a, 1.1 b"], 2),
        ([b"1.1 a", b"1.0 b, 1.1 c"], 3),
        ([b"1.1 a,,,", b"1.1 b, ,"], 2),
        ([b""], 0),
        ([b","], 0),
    ],
)
def test_every_proxy_of_every_field_counts(values: list[bytes], proxies: int) -> None:
    assert via.depth(fields(*values)) == proxies


@pytest.mark.parametrize(
    ("values", "hops"),
    [
        ([], 0),
        ([b"1.1 linkerd"], 1),
        ([b"1.1 linkerd, 1.0 linkerd,1.1 linkerd (it),1.1\tlinkerd"], 4),
        ([b"1.1 linkerd", b"1.1 a, HTTP/1.1 linkerd ,1.1 b"], 2),
        ([b"1.1 linkerds, 1.1 my-linkerd, linkerd, 1.1 linkerd:80, 1.1 a(linkerd)"], 0),
        ([b"1.1 a" * 400], 0),
    ],
)
def test_proxies_of_our_name_are_told_from_others(values: list[bytes], hops: int) -> None:
    assert via.own_hops(fields(*values)) == hops
    lines = b"".join(b"\r\nvIA:" + value for value in values)
    assert via.own_hops_in(b"GET / HTTP/1.1\r\nX: 1.1 linkerd" + lines + b"\r\nX-Via: a") == hops


@pytest.mark.parametrize(
    ("values", "version", "joined"),
    [
        ([], b"1.1", b"1.1 linkerd"),
        ([], b"1.0", b"1.0 linkerd"),
        ([b"1.1 a"], b"1.1", b"1.1 a, 1.1 linkerd"),
        ([b"1.1 a", b"1.0 b, 1.1 c"], b"1.1", b"1.1 a, 1.0 b, 1.1 c, 1.1 linkerd"),
        ([b"", b"1.1 a"], b"1.0", b"1.1 a, 1.0 linkerd"),
        ([b""], b"1.1", b"1.1 linkerd"),
    ],
)
def test_all_fields_become_one(values: list[bytes], version: bytes, joined: bytes) -> None:
    headers = fields(*values)
    via.append(headers, version)
    assert headers.get_all(b"via") == [joined]


def test_a_message_of_http_2_says_2() -> None:
    headers = of((b"Via", b"1.1 front"))
    via.append(headers, b"2")
    assert headers.get("Via") == "1.1 front, 2 linkerd"
    assert via.own_hops(headers) == 1
