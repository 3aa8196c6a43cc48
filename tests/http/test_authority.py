"""The one spelling of an authority."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.errors import BadRequest
from meshproxy.http.authority import canonical


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        (b"h", b"h"),
        (b"H.Test", b"H.Test"),
        (b"h.test.", b"h.test"),
        (b"h.test.:80", b"h.test:80"),
        (b"h:", b"h"),
        (b"h.:", b"h"),
        (b"h:80", b"h:80"),
        (b"h:08443", b"h:8443"),
        (b"h:0000000000443", b"h:443"),
        (b"h:000", b"h:0"),
        (b"h:65535", b"h:65535"),
        (b"h:http-alt", b"h:http-alt"),
        (b"h:0x50", b"h:0x50"),
        (b"10.0.0.1", b"10.0.0.1"),
        (b"10.0.0.1.:080", b"10.0.0.1:80"),
        (b"1234", b"1234"),
        (b"1.web", b"1.web"),
        (b"[::1]", b"[::1]"),
        (b"[::1]:", b"[::1]"),
        (b"[0:0:0:0:0:0:0:1]:080", b"[::1]:80"),
        (b"[2001:DB8::00A]", b"[2001:db8::a]"),
        (b"[::ffff:10.0.0.1]:80", b"10.0.0.1:80"),
        (b"[::FFFF:0A00:1]", b"10.0.0.1"),
        (b"[::10.0.0.1]", b"[::a00:1]"),
        (b"~!$&'()*+=-_", b"~!$&'()*+=-_"),
    ],
)
def test_each_destination_has_one_spelling(authority: bytes, expected: bytes) -> None:
    assert canonical(authority) == expected


def test_a_port_that_is_left_out_is_443_for_https_alone() -> None:
    assert canonical(b"h", b"https") == canonical(b"h:", b"https") == b"h:443"
    assert canonical(b"h:80", b"https") == b"h:80"
    assert canonical(b"[::1]", b"https") == b"[::1]:443"
    assert canonical(b"h", b"http") == b"h"


@pytest.mark.parametrize(
    "authority",
    [
        b"", b":80", b".", b"..", b".h", b"h..", b"a..b", b"h:80:80", b"h:-80", b"h:+80", b"h:8_0",
        b"h:65536", b"h:443000", b"h:" + b"9" * 50, b"h%2e", b"%68", b"me@h", b"a,b", b"a b",
        b"a/b",
        b"[::1", b"::1", b"[::1].", b"[::1]x", b"[1::2::3]", b"[10.0.0.1]", b"[]", b"[::1%25lo]",
        b"[v1.x]", b"127.1", b"0x7f.0.0.1", b"0X7F.1", b"0177.0.0.1", b"1.2.3.256", b"1.2.3.4.5",
        b"010.0.0.1", b"h\n", b"x" * 320, b"\xe9", b"h:\xb2",
    ],
)  # fmt: skip
def test_what_is_no_host_or_is_one_in_disguise_is_refused(authority: bytes) -> None:
    with pytest.raises(BadRequest):
        canonical(authority)


@given(st.text("aB1.:[]0f-", max_size=12).map(str.encode), st.sampled_from([b"", b"https"]))
def test_the_one_spelling_is_its_own(authority: bytes, scheme: bytes) -> None:
    with contextlib.suppress(BadRequest):
        spelled = canonical(authority, scheme)
        assert canonical(spelled, scheme) == spelled


def test_what_is_remembered_is_bounded() -> None:
    assert canonical.cache_info().maxsize == 4096
