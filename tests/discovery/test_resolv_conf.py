"""resolv.conf and hosts, read and read again."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.resolv_conf import Reread, ResolvConf, has_global_ipv6, parse_hosts

KUBERNETES = """\
# made by kubelet
search web.svc.cluster.local svc.cluster.local. Cluster.Local
nameserver 10.96.0.10
options ndots:5 timeout:1 attempts:3 rotate
"""


def test_every_line_kubernetes_writes_is_understood() -> None:
    assert ResolvConf.parse(KUBERNETES) == ResolvConf(
        nameservers=("10.96.0.10",),
        search=("web.svc.cluster.local", "svc.cluster.local", "cluster.local"),
        ndots=5,
        timeout_s=1,
        attempts=3,
    )


@pytest.mark.parametrize(
    "text",
    ["", "nameserver", "nameserver not-an-address", "nonsense", "; a comment\n# one\n", "options"],
)
def test_an_empty_or_broken_file_means_the_local_server(text: str) -> None:
    assert ResolvConf.parse(text) == ResolvConf()
    assert ResolvConf().nameservers == ("127.0.0.1",)


def test_three_name_servers_count() -> None:
    text = "".join(f"nameserver 10.0.0.{n}\n" for n in range(5))
    assert ResolvConf.parse(text).nameservers == ("10.0.0.0", "10.0.0.1", "10.0.0.2")


def test_the_last_search_or_domain_counts() -> None:
    assert ResolvConf.parse("search a b\ndomain c\n").search == ("c",)


def test_options_are_bounded() -> None:
    conf = ResolvConf.parse("options ndots:99 timeout:999 attempts:99")
    assert (conf.ndots, conf.timeout_s, conf.attempts) == (15, 30, 5)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("web", ("web.a", "web.b.c", "web")),
        ("web.x", ("web.x.a", "web.x.b.c", "web.x")),
        ("web.x.y", ("web.x.y", "web.x.y.a", "web.x.y.b.c")),
        ("web.", ("web",)),
    ],
)
def test_ndots_decides_whether_the_search_comes_first(host: str, expected: tuple[str]) -> None:
    assert ResolvConf(search=("a", "b.c"), ndots=2).candidates(host) == expected


def test_hosts_keep_all_addresses_of_a_name_in_order() -> None:
    text = "127.0.0.1 localhost\n10.0.0.2  Web web.test # 10.0.0.9 no\n"
    text += "::2 web\n10.0.0.2 web\nbad x\n\n"
    assert parse_hosts(text) == {
        "localhost": ("127.0.0.1",),
        "web": ("10.0.0.2", "::2"),
        "web.test": ("10.0.0.2",),
    }


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    assert ResolvConf.parse(text).nameservers
    assert isinstance(parse_hosts(text), dict)


def test_a_file_is_read_again_when_replaced(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    hosts = Reread(str(file), parse_hosts)
    assert hosts.value() == {}
    file.write_text("10.0.0.1 a")
    assert hosts.value() == {"a": ("10.0.0.1",)}
    new = tmp_path / "new"
    new.write_text("10.0.0.2 a")
    new.replace(file)
    assert hosts.value() == {"a": ("10.0.0.2",)}
    file.unlink()
    assert hosts.value() == {}


def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("10.0.0.1 a")
    os.utime(file, ns=(1, 1))
    hosts = Reread(str(file), parse_hosts)
    first = hosts.value()
    assert hosts.value() is first


def test_bytes_that_are_no_text_are_skipped(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_bytes(b"\xff\xfe\n10.0.0.1 a\n")
    assert Reread(str(file), parse_hosts).value() == {"a": ("10.0.0.1",)}


@pytest.mark.parametrize(
    ("scope", "expected"), [("00", True), ("10", False), ("20", False), ("40", False)]
)
def test_only_global_ipv6_counts(tmp_path: Path, scope: str, expected: bool) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(f"fd000000000000000000000000000002 04 40 {scope} 82     eth0\n")
    assert has_global_ipv6(str(table)) is expected


def test_without_ipv6_there_is_no_table(tmp_path: Path) -> None:
    assert has_global_ipv6(str(tmp_path / "absent")) is False
