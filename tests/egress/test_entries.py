"""What the values of a rule's keys match, and which of several decides."""

import pytest

from meshproxy.egress.entries import Choice, HostEntry, Item, MethodEntry, PathEntry, PortEntry
from meshproxy.naming.path import Path


def choice(kind: type, *texts: str) -> Choice:
    return Choice(
        tuple(Item(kind.parse(text.removeprefix("!")), text.startswith("!")) for text in texts)
    )


@pytest.mark.parametrize(
    ("texts", "inside", "outside"),
    [
        (["a.test"], "a.test", "b.a.test xa.test a.test.x test"),
        (["A.Test."], "a.test", ""),
        (["*.a.test"], "b.a.test c.b.a.test", "a.test xa.test .a.test b.test"),
        (["*"], "a.test 10.0.0.1 x", ""),
        (["10.0.0.1"], "10.0.0.1", "10.0.0.2 10.0.0.1.test"),
        (["[::1]"], "::1", "::2"),
        (["0:0::1"], "::1", ""),
        (["*.a.test", "!b.a.test"], "c.a.test c.b.a.test", "b.a.test a.test"),
        (["!b.a.test", "*.a.test"], "c.a.test", "b.a.test"),
        (["*", "!*.a.test", "b.a.test"], "a.test b.a.test x", "c.a.test c.b.a.test"),
        (["a.test", "!a.test"], "", "a.test"),
    ],
)
def test_hosts(texts: list[str], inside: str, outside: str) -> None:
    hosts = choice(HostEntry, *texts)
    assert [host for host in inside.split() if not hosts.matches(host)] == []
    assert [host for host in outside.split() if hosts.matches(host)] == []


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("a.*.test", "as in"),
        ("a*.test", "as in"),
        ("*a.test", "as in"),
        ("**.test", "as in"),
        ("a.test:443", "port: 443"),
        ("[::1]:443", "port: 443"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("*.bücher.test", r"\*.xn--bcher-kva.test"),
        ("a_b..test", "not a host name"),
        ("-a.test", "not a host name"),
        ("http://a.test", "not a host name"),
        ("a.test/x", "not a host name"),
        ("127.1", "dotted form"),
        ("fe80::1%eth0", "zone"),
        ("*.10.0.0.1", "not a host name"),
        ("", "not a host name"),
    ],
)
def test_hosts_that_are_none(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        HostEntry.parse(text)


@pytest.mark.parametrize(
    ("texts", "inside", "outside"),
    [
        (["443"], [443], [80, 444]),
        (["6000-6999"], [6000, 6500, 6999], [5999, 7000]),
        (["1-100", "!22"], [1, 21, 100], [22, 101, 0]),
        (["!1-100", "22"], [22], [21, 23]),
        (["0-65535"], [0, 65535], []),
    ],
)
def test_ports(texts: list[str], inside: list[int], outside: list[int]) -> None:
    ports = choice(PortEntry, *texts)
    assert [port for port in inside if not ports.matches(port)] == []
    assert [port for port in outside if ports.matches(port)] == []


@pytest.mark.parametrize("text", ["65536", "0-65536", "9-1", "http", "-1", "1-", "", "1-2-3", "٣"])
def test_ports_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a port|valid range|before it begins"):
        PortEntry.parse(text)


def test_the_longest_prefix_decides() -> None:
    paths = choice(PathEntry, "/svc", "!/svc/a", "/svc/a/b", "/#/*/x")
    inside = ["/svc", "/svc/b", "/svc/a/b/c", "/#/io.l5d.fs/x"]
    outside = ["/svc/a", "/svc/a/c", "/#/x", "/other"]
    assert [path for path in inside if not paths.matches(Path.parse(path))] == []
    assert [path for path in outside if paths.matches(Path.parse(path))] == []
    with pytest.raises(ValueError, match="not a path prefix"):
        PathEntry.parse("svc")


def test_methods_are_compared_as_they_are_written() -> None:
    methods = choice(MethodEntry, "GET", "purge")
    assert [methods.matches(one) for one in (b"GET", b"purge", b"get", b"PURGE")] == [
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(ValueError, match="not a method"):
        MethodEntry.parse("GET POST")


@pytest.mark.parametrize(
    ("kind", "wide", "narrow", "covers"),
    [
        (HostEntry, ["*"], ["a.test", "*.b.test"], True),
        (HostEntry, ["*.test"], ["a.test", "*.a.test", "!b.a.test"], True),
        (HostEntry, ["*.test"], ["test"], False),
        (HostEntry, ["*.a.test"], ["*.test"], False),
        (HostEntry, ["*.test", "!a.test"], ["b.test"], False),
        (HostEntry, ["*.test", "!a.test"], ["*.test", "!a.test"], True),
        (PortEntry, ["1-100"], ["22", "80-90"], True),
        (PortEntry, ["1-100"], ["22", "80-101"], False),
        (PathEntry, ["/"], ["/svc/a"], True),
        (PathEntry, ["/svc"], ["/#"], False),
        (MethodEntry, ["GET", "PUT"], ["PUT"], True),
        (MethodEntry, ["GET"], ["PUT"], False),
    ],
)
def test_one_choice_covers_another(
    kind: type, wide: list[str], narrow: list[str], covers: bool
) -> None:
    assert choice(kind, *wide).covers(choice(kind, *narrow)) is covers
