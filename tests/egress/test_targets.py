"""Classes and ranges of addresses, and what of them an allow has to name."""

import pytest

from meshproxy.egress.addresses import target_of
from meshproxy.egress.entries import Choice, Item
from meshproxy.egress.targets import Destination, TargetEntry, read_network


def matches(texts: str, host: str, *, by_name: bool = False) -> bool:
    items = [
        Item(TargetEntry.parse(text.removeprefix("!")), text.startswith("!"))
        for text in texts.split()
    ]
    return Choice(tuple(items)).matches(Destination(target_of(host), by_name))


@pytest.mark.parametrize(
    ("texts", "inside", "outside"),
    [
        ("private", "10.0.0.1 fd00::1", "8.8.8.8 127.0.0.1 fd00:ec2::254"),
        ("linkLocal", "169.254.1.1", "169.254.169.254"),
        ("metadata", "169.254.169.254 64:ff9b::a9fe:a9fe", "169.254.1.1"),
        ("10.0.0.0/8", "10.255.0.1 ::ffff:10.0.0.1", "11.0.0.1 fd00::1"),
        ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ("private !10.1.0.0/16", "10.2.0.1 192.168.0.1", "10.1.0.1"),
        ("!private 10.1.0.0/16", "10.1.0.1", "10.2.0.1"),
        ("0.0.0.0/0 !private", "8.8.8.8", "10.0.0.1"),
        ("169.254.0.0/16 !metadata", "169.254.1.1", "169.254.169.254"),
        ("::/0", "2606:4700::1 ::1", "8.8.8.8 64:ff9b::808:808"),
        ("public", "8.8.8.8", "a.test"),
    ],
)
def test_what_is_matched(texts: str, inside: str, outside: str) -> None:
    assert [host for host in inside.split() if not matches(texts, host)] == []
    assert [host for host in outside.split() if matches(texts, host)] == []


@pytest.mark.parametrize(
    ("texts", "host", "named"),
    [
        ("0.0.0.0/0", "8.8.8.8", True),
        ("0.0.0.0/0", "10.0.0.1", True),
        ("0.0.0.0/0", "127.0.0.1", False),
        ("0.0.0.0/0", "169.254.169.254", False),
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.0/16", "127.0.0.1", True),
        ("169.254.0.0/16", "169.254.1.1", True),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("169.254.169.254", "169.254.169.254", True),
        ("metadata", "169.254.169.254", True),
        ("::/0", "::1", False),
        ("::1", "::1", True),
        ("fc00::/7", "fd00:ec2::254", False),
    ],
)
def test_a_range_names_a_class_if_it_is_within(texts: str, host: str, named: bool) -> None:
    assert matches(texts, host)
    assert matches(texts, host, by_name=True) is named


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("intern", "not a class of addresses: public, private"),
        ("Private", "not a class"),
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("::1/64", "write ::/64"),
        ("10.0.0.0/33", "not an address or range"),
        ("10.0.0", "not an address or range"),
        ("::ffff:10.0.0.0/104", "carries IPv4"),
        ("2002::/16", "carries IPv4"),
    ],
)
def test_what_is_no_target(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        TargetEntry.parse(text)


@pytest.mark.parametrize(
    ("wide", "narrow", "covers"),
    [
        ("private", "10.1.0.0/16", True),
        ("private", "8.8.8.0/24", False),
        ("private", "private", True),
        ("10.0.0.0/8", "10.1.0.0/16", True),
        ("10.1.0.0/16", "10.0.0.0/8", False),
        ("10.0.0.0/8", "private", False),
        ("10.0.0.0/8", "::1", False),
    ],
)
def test_one_covers_another(wide: str, narrow: str, covers: bool) -> None:
    assert TargetEntry.parse(wide).covers(TargetEntry.parse(narrow)) is covers


def test_an_address_is_a_range_of_one() -> None:
    assert str(read_network("10.0.0.1")) == "10.0.0.1/32"
