"""What class an address is of, in whatever form it is written."""

import pytest

from meshproxy.egress.addresses import AddressClass, target_of

CLASSES = {
    "public": "8.8.8.8 1.1.1.1 9.255.255.255 11.0.0.0 172.15.0.1 172.32.0.0 192.167.0.1 100.63.0.1 "
    "100.128.0.0 126.0.0.1 128.0.0.1 223.255.255.255 198.17.0.1 198.20.0.0 2606:4700::1 "
    "2a00:1450::1 168.63.129.17 169.253.0.1",
    "private": "10.0.0.0 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255 "
    "100.64.0.0 100.127.255.255 fc00::1 fdff::1 fd00:ec2::253 100.100.100.201",
    "loopback": "127.0.0.0 127.0.0.1 127.255.255.255 ::1",
    "linkLocal": "169.254.0.1 169.254.169.253 169.254.255.255 fe80::1 febf::1",
    "metadata": "169.254.169.254 169.254.170.2 169.254.170.23 100.100.100.200 168.63.129.16 "
    "fd00:ec2::254 fd00:ec2::23 fd20:ce::254",
    "multicast": "224.0.0.1 239.255.255.255 ff02::1 ff0e::1",
    "reserved": "0.0.0.0 0.1.2.3 :: 240.0.0.1 255.255.255.255 192.0.2.1 198.51.100.7 203.0.113.9 "
    "198.18.0.1 198.19.255.255 192.0.0.8 192.88.99.1 192.31.196.1 192.52.193.1 192.175.48.1 "
    "2001:db8::1 3fff::1 100::1 2001:20::1 2001:2::1 5f00::1 2620:4f:8000::1 fec0::1 4000::1 "
    "64:ff9a::1",
}


@pytest.mark.parametrize(
    ("host", "kind"), [(host, kind) for kind, hosts in CLASSES.items() for host in hosts.split()]
)
def test_every_class_from_its_first_address_to_its_last(host: str, kind: str) -> None:
    target = target_of(host)
    assert target is not None
    assert (target.kind, str(target.address)) == (AddressClass(kind), host)
    assert target.address in target.network


FORMS = {
    "mapped": "::ffff:{v4}",
    "compatible": "::{v4}",
    "translated": "::ffff:0:{v4}",
    "nat64": "64:ff9b::{v4}",
    "local nat64, 96 bits": "64:ff9b:1::{v4}",
    "local nat64, 96 bits, a subnet": "64:ff9b:1:7::{v4}",
    "local nat64, 48 bits": "64:ff9b:1:{a}{b}:{c}:{d}00::",
    "local nat64, 56 bits": "64:ff9b:1:{a}:{b}:{c}{d}::",
    "local nat64, 64 bits": "64:ff9b:1:0:{a}:{b}{c}:{d}00::",
    "6to4": "2002:{a}{b}:{c}{d}::9",
    "teredo": "2001:0:102:304:0:5678:{x}{y}:{z}{w}",
    "isatap": "2a00:1450::5efe:{v4}",
    "isatap, a global interface": "2a00:1450::200:5efe:{v4}",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("169.254.169.254", "metadata"),
        ("10.1.2.3", "private"),
        ("224.1.1.9", "multicast"),
        ("240.1.1.1", "reserved"),
    ],
)
def test_an_address_inside_another_is_the_one_that_counts(
    form: str, inside: str, kind: str
) -> None:
    parts = [int(part) for part in inside.split(".")]
    hexed = {name: f"{part:02x}" for name, part in zip("abcd", parts, strict=True)}
    flipped = {name: f"{part ^ 255:02x}" for name, part in zip("xyzw", parts, strict=True)}
    target = target_of(FORMS[form].format(v4=inside, **hexed, **flipped))
    assert target is not None
    assert (target.kind.value, str(target.address)) == (kind, inside)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_inside_may_be_public(form: str) -> None:
    hexed = dict.fromkeys("abcd", "08")
    flipped = dict.fromkeys("xyzw", "f7")
    target = target_of(FORMS[form].format(v4="8.8.8.8", **hexed, **flipped))
    assert target is not None
    assert target.kind is AddressClass.PUBLIC


@pytest.mark.parametrize(
    ("host", "kind"), [("fd00::5efe:8.8.8.8", "private"), ("fe80::5efe:8.8.8.8", "linkLocal")]
)
def test_a_public_address_inside_does_not_make_a_network_public(host: str, kind: str) -> None:
    target = target_of(host)
    assert target is not None
    assert target.kind.value == kind


@pytest.mark.parametrize("host", ["a.test", "", "127.1", "0x7f.0.0.1", "[::1]", "1.2.3.4.5"])
def test_a_name_is_no_address(host: str) -> None:
    assert target_of(host) is None
