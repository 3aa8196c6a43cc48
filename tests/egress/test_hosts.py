"""One spelling for one destination."""

import pytest

from meshproxy.egress.hosts import host_of, normalised


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("A.Test", "a.test"),
        ("a.test.", "a.test"),
        ("a.test:443", "a.test"),
        ("a.test.:443", "a.test"),
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1.", "10.0.0.1"),
        ("[::1]", "::1"),
        ("[::1]:80", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[FD00:0:0::1]:443", "fd00::1"),
        ("[::ffff:10.0.0.1]:80", "10.0.0.1"),
        ("", ""),
        ("1.a", "1.a"),
        ("0x7f.test", "0x7f.test"),
    ],
)
def test_a_host_has_one_spelling(authority: str, host: str) -> None:
    assert host_of(authority) == host


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "1.2.3.4.5"],
)
def test_numbers_that_some_read_as_an_address_are_refused(host: str) -> None:
    with pytest.raises(ValueError, match="dotted form"):
        normalised(host)


def test_an_address_with_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        normalised("[fe80::1%eth0]")
