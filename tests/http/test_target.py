"""Which host a request is for, in every form of target."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.errors import BadRequest, Forbidden
from meshproxy.http import target as room
from meshproxy.http.headers import Headers, of
from meshproxy.http.target import origin_form


def asked(
    method: bytes, target: bytes, *hosts: bytes, version: bytes = b"1.1"
) -> tuple[bytes, ...]:
    """Return the target to send on, and the Hosts."""
    headers = of(*((b"Host", host) for host in hosts))
    return origin_form(method, target, version, headers), *headers.get_all(b"host")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (b"/", (b"/", b"a")),
        (b"/a/../b//%2F?x=http://y/", (b"/a/../b//%2F?x=http://y/", b"a")),
        (b"//b/c", (b"//b/c", b"a")),
        (b"http://b/c?d", (b"/c?d", b"b")),
        (b"HTTPS://b:8443/c", (b"/c", b"b:8443")),
        (b"http://b", (b"/", b"b")),
        (b"http://b?c", (b"/?c", b"b")),
        (b"http://me:pw@b/c@d", (b"/c@d", b"b")),
        (b"http://[2001:db8::1]:80/", (b"/", b"[2001:db8::1]:80")),
    ],
)
def test_the_host_asked_for_is_the_host_sent(target: bytes, expected: tuple[bytes, ...]) -> None:
    assert asked(b"GET", target, b"a") == expected


def test_the_asterisk_is_for_options() -> None:
    assert asked(b"OPTIONS", b"*", b"a") == (b"*", b"a")
    with pytest.raises(BadRequest):
        asked(b"GET", b"*", b"a")
    assert asked(b"OPTIONS", b"http://b", b"a") == (b"*", b"b")
    assert asked(b"OPTIONS", b"http://b/", b"a") == (b"/", b"b")
    assert asked(b"OPTIONS", b"http://b?c", b"a") == (b"/?c", b"b")


@pytest.mark.parametrize("userinfo", [b"b\\", b"b@c", b"b[", b'"', b"<", b"\xe9", b"b|c"])
def test_user_information_that_others_may_read_as_a_host_is_refused(userinfo: bytes) -> None:
    with pytest.raises(BadRequest):
        asked(b"GET", b"http://" + userinfo + b"@a/", b"a")


def test_http_1_0_may_lack_a_host() -> None:
    assert asked(b"GET", b"/", version=b"1.0") == (b"/",)
    assert asked(b"GET", b"http://b/", version=b"1.0") == (b"/", b"b")


GOOD_HOSTS = [
    b"a", b"a.test.", b"A-b_c.test:80", b"a:http-alt", b"a:", b"127.0.0.1:1", b"[::1]",
    b"[::ffff:1.2.3.4]:80", b"", b"xn--bcher-kva.test", b"~!$&'()*+=",
]  # fmt: skip


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_a_host_may_have_a_port(host: bytes) -> None:
    assert asked(b"GET", b"/", host) == (b"/", host)


BAD_HOSTS = [
    b"a b", b"a,b", b"a/b", b"a\\b", b"a;b", b"me@a", b"a%2f", b"a?b", b"a#b", b":80", b"a:1:2",
    b"a:b_c", b"a:-1", b"a:65536",
    b"a..b", b".a", b"a..", b".", b"127.1", b"0x7f.1", b"1.2.3.256",
    b"[::1", b"::1", b"[::1]x", b"[1::2::3]", b"[.]", b"[]", b"[fe80::1%25eth0]",
    b"\xe9",
    b"a\xa0", b'"a"', b"<a>", b"a|b", b"x" * 400,
]  # fmt: skip


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_what_is_no_host_is_refused(host: bytes) -> None:
    with pytest.raises(BadRequest):
        asked(b"GET", b"/", host)
    with pytest.raises(BadRequest):
        asked(b"GET", b"http://x/", host)


@pytest.mark.parametrize(
    "target",
    [
        b"http:///x", b"http://", b"http://:80/", b"http://a@b@c/", b"http://a\\b/", b"http://[::1/",
        b"ftp://a/", b"/a#b", b"/#", b"http://a/#b", b"http://a#b",
        b"a:80", b"x", b"*", b"http:/a", b"http:a", b"?x", b"\\\\a\\b",
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused(target: bytes) -> None:
    with pytest.raises(BadRequest):
        asked(b"GET", target, b"a")


@pytest.mark.parametrize(
    ("hosts", "version"),
    [([], b"1.1"), ([b"a", b"b"], b"1.1"), ([b"a", b"a"], b"1.1"), ([b"a", b"a"], b"1.0")],
)
@pytest.mark.parametrize("target", [b"/", b"http://a/"])
def test_there_is_one_host(hosts: list[bytes], version: bytes, target: bytes) -> None:
    with pytest.raises(BadRequest):
        asked(b"GET", target, *hosts, version=version)


def connect(target: bytes, *ports: int) -> tuple[bytes, bytes | None]:
    headers = of((b"Host", b"other"))
    return (
        origin_form(b"CONNECT", target, b"1.1", headers, frozenset(ports)),
        headers.get(b"host"),
    )


def test_a_connect_names_a_host_and_an_allowed_port() -> None:
    assert connect(b"a:443", 443) == (b"a:443", b"a:443")
    assert connect(b"[::1]:443", 443) == (b"[::1]:443", b"[::1]:443")
    assert connect(b"a:00443", 443) == (b"a:00443", b"a:00443")
    for ports in ((), (80,)):
        with pytest.raises(Forbidden):
            connect(b"a:443", *ports)


@pytest.mark.parametrize(
    "target",
    [
        b"a", b"443", b"/x", b"a:", b"a:https", b"http://a:443/", b"[::1]", b"[::ffff:1.2.3.4]",
        b"a:443000", b"me@a:443", b":443",
    ],
)  # fmt: skip
def test_a_connect_to_anything_else_is_refused(target: bytes) -> None:
    with pytest.raises(BadRequest):
        connect(target, 443)


def test_what_is_remembered_is_bounded() -> None:
    for number in range(6000):
        asked(b"GET", b"/", b"h%d" % number)
    assert len(room._checked) <= 4096


@given(
    st.sampled_from([b"GET", b"OPTIONS", b"CONNECT"]),
    st.binary(max_size=30),
    st.binary(max_size=20),
)
def test_random_targets_and_hosts_raise_only_what_is_answered(
    method: bytes, target: bytes, host: bytes
) -> None:
    headers = Headers([b"host"], [b"Host: " + host])
    with contextlib.suppress(BadRequest, Forbidden):
        sent = origin_form(method, target, b"1.1", headers, frozenset({443}))
        assert sent.startswith(b"/") or method != b"GET"
        assert not set(headers.get(b"host") or b"") & set(b" ,;/\\@%?#\0\r\n")
