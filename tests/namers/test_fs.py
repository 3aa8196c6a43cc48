"""The `io.l5d.fs` namer on real files."""

from pathlib import Path as FilePath
from typing import Any

import pytest
from gevent.queue import Queue
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.config.files import Directory
from meshproxy.discovery.dns import DnsResolver
from meshproxy.discovery.dns_lookup import DnsSettings
from meshproxy.discovery.dns_query import Server
from meshproxy.metrics.tree import Tree
from meshproxy.namers.fs import FsNamer, FsNamerConfig, parse_entries
from meshproxy.naming.addr import (
    ADDR_NEG,
    AddrBound,
    Address,
    AddrFailed,
)
from meshproxy.naming.bound import Bound
from meshproxy.naming.nametree import NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import Ok, Var
from tests.kit.deps import namer_deps
from tests.kit.dns import DnsServer
from tests.kit.k8s import wait_until
from tests.kit.wire import WAIT_S

PREFIX = Path.parse("/#/io.l5d.fs")


@pytest.fixture(name="root")
def _root(tmp_path: FilePath) -> FilePath:
    root = tmp_path / "disco"
    root.mkdir()
    return root


def namer_of(root: FilePath, server: DnsServer | None = None) -> FsNamer:
    servers = (Server(server.host, server.port),) if server else ()
    settings = DnsSettings(nameservers=servers, hosts="/dev/null", resolv_conf="/dev/null")
    deps = namer_deps(PREFIX, resolver=DnsResolver(settings, Tree()))
    return FsNamerConfig(root_dir=Directory(str(root))).build(deps)


def ask(namer: FsNamer, path: str) -> Any:
    """What the namer says now, a live answer or not."""
    answer = namer.lookup(Path.parse(path))
    return answer.sample() if isinstance(answer, Var) else Ok(answer)


def bound_in(state: Any) -> Bound:
    assert isinstance(state, Ok)
    assert isinstance(state.value, Leaf)
    assert isinstance(state.value.value, Bound)
    return state.value.value


def addresses(*found: tuple[str, int] | tuple[str, int, float]) -> AddrBound:
    return AddrBound(frozenset(Address(*each) for each in found))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", ()),
        (b"# nothing\n\n   \n", ()),
        (b"127.0.0.1 80", (Address("127.0.0.1", 80, 1.0),)),
        (
            b"a.test\t1 # one\r\n  b 65535  \n",
            (Address("a.test", 1), Address("b", 65535)),
        ),
        (b"a 80 * 2", (Address("a", 80, 2.0),)),
        (b"a 80*0.5", (Address("a", 80, 0.5),)),
        (b"a 80 * .5", (Address("a", 80, 0.5),)),
        (b"::1 80\n[::1] 81", (Address("::1", 80, 1.0), Address("[::1]", 81, 1.0))),
        (b"127.1 80", (Address("127.0.0.1", 80, 1.0),)),
    ],
)
def test_lines_are_hosts_ports_and_weights(text: bytes, expected: tuple[Address, ...]) -> None:
    assert parse_entries(text) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"a", b"a http", b"a 0", b"a 65536", b"a -1", b"a 80 2", b"a 80 *", b"a 80 * x",
        b"a 80 * -1", b"a 80 * nan", b"a:80", b"a 80 b", b"0x7f.1 80", b"a..b 80", b"\xff 80",
        b"a 8\xd9\xa3",
    ],
)  # fmt: skip
def test_a_bad_line_spoils_the_file(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"line 2|utf-8"):
        parse_entries(b"good 80\n" + line)


@given(st.binary())
def test_any_bytes_are_entries_or_an_error(text: bytes) -> None:
    try:
        entries = parse_entries(text)
    except ValueError:
        return
    assert all(0 < entry.port < 65536 and entry.weight >= 0 for entry in entries)


def test_a_file_is_bound_and_the_rest_is_residual(root: FilePath) -> None:
    (root / "web").write_text("127.0.0.1 80\n127.0.0.2 81 * 0.5\n")
    found = bound_in(ask(namer_of(root), "/web/a/b"))
    assert found.id == Path.parse("/#/io.l5d.fs/web")
    assert found.residual == Path.parse("/a/b")
    assert found.addr.sample() == addresses(("127.0.0.1", 80), ("127.0.0.2", 81, 0.5))


def test_directories_nest(root: FilePath) -> None:
    (root / "eu" / "west").mkdir(parents=True)
    (root / "eu" / "west" / "web").write_text("127.0.0.1 80\n")
    found = bound_in(ask(namer_of(root), "/eu/west/web/x"))
    assert found.id == Path.parse("/#/io.l5d.fs/eu/west/web")
    assert found.residual == Path.parse("/x")


@pytest.mark.parametrize(
    "path", ["/", "/missing", "/dir", "/dir/missing", "/..", "/dir/../web", "/."]
)
def test_what_is_no_file_is_negative(root: FilePath, path: str) -> None:
    (root / "dir").mkdir()
    (root / "web").write_text("127.0.0.1 80\n")
    assert ask(namer_of(root), path) == Ok(NEG)


def test_a_slash_in_a_segment_does_not_leave_the_directory(root: FilePath) -> None:
    (root.parent / "secret").write_text("127.0.0.1 80\n")
    answer = namer_of(root).lookup(Path.of("../secret"))
    assert isinstance(answer, Var)
    assert answer.sample() == Ok(NEG)


def test_an_empty_file_is_bound_to_nothing(root: FilePath) -> None:
    (root / "web").write_text("# nobody\n")
    assert bound_in(ask(namer_of(root), "/web")).addr.sample() == AddrBound(frozenset())


def test_a_bad_line_is_a_failed_address(root: FilePath) -> None:
    (root / "web").write_text("127.0.0.1 80\nnonsense\n")
    assert bound_in(ask(namer_of(root), "/web")).addr.sample() == AddrFailed(
        "/web: line 2 is not `host port` or `host port * weight`: nonsense"
    )


def test_an_unreadable_file_is_a_failed_address(root: FilePath) -> None:
    (root / "web").write_bytes(b"x" * (5 << 20))
    addr = bound_in(ask(namer_of(root), "/web")).addr.sample()
    assert isinstance(addr, AddrFailed)
    assert "larger than" in addr.why


def test_files_are_followed(root: FilePath) -> None:
    trees: Queue = Queue()
    answer = namer_of(root).lookup(Path.parse("/web"))
    assert isinstance(answer, Var)
    close = answer.observe(trees.put)
    try:
        assert trees.get(timeout=WAIT_S) == Ok(NEG)
        (root / "web").write_text("127.0.0.1 80\n")
        found = bound_in(trees.get(timeout=WAIT_S))
        addrs: Queue = Queue()
        close_addr = found.addr.observe(addrs.put)
        try:
            assert addrs.get(timeout=WAIT_S) == addresses(("127.0.0.1", 80))
            (root / "new").write_text("127.0.0.1 80\n127.0.0.1 81\n")
            (root / "new").replace(root / "web")
            assert addrs.get(timeout=WAIT_S) == addresses(("127.0.0.1", 80), ("127.0.0.1", 81))
            (root / "web").unlink()
            assert addrs.get(timeout=WAIT_S) == ADDR_NEG
        finally:
            close_addr()
        assert trees.get(timeout=WAIT_S) == Ok(NEG)
    finally:
        close()


def test_host_names_are_resolved_and_merged(root: FilePath) -> None:
    (root / "web").write_text("one.test 80\ntwo.test 81 * 3\n127.0.0.9 82\nno.test 83\n")
    with DnsServer() as server:
        server.put("one.test", "10.0.0.1", "10.0.0.2")
        server.put("two.test", "10.0.0.3")
        addrs: Queue = Queue()
        close = bound_in(ask(namer_of(root, server), "/web")).addr.observe(addrs.put)
        try:
            everything = addresses(
                ("10.0.0.1", 80), ("10.0.0.2", 80), ("10.0.0.3", 81, 3.0), ("127.0.0.9", 82)
            )
            while addrs.get(timeout=WAIT_S) != everything:
                pass
        finally:
            close()


def test_it_lists_every_file_below_its_directory(root: FilePath) -> None:
    (root / "web").write_text("")
    (root / "deep").mkdir()
    (root / "deep" / "b").write_text("")
    (root / "deep" / "empty").mkdir()
    (root / "link").symlink_to(root / "web")
    assert [name.show() for name in namer_of(root).names()] == [
        "/#/io.l5d.fs/deep/b",
        "/#/io.l5d.fs/link",
        "/#/io.l5d.fs/web",
    ]


def test_its_files_are_shown(root: FilePath) -> None:
    (root / "web").write_text("10.0.0.1 80\n10.0.0.2 80 * 2\n")
    namer = namer_of(root)
    bound = bound_in(ask(namer, "/web/more"))
    close = bound.addr.observe(lambda _: None)
    (row,) = namer.followed()
    assert (row.name, row.answer) == (f"{root}/web", "2 entries")
    (state,) = namer.describe().values()
    assert state["state"]["value"] == ["10.0.0.1 80 * 1", "10.0.0.2 80 * 2"]
    (root / "web").unlink()
    wait_until(lambda: [(row.answer, row.failure) for row in namer.followed()] == [("nothing", "")])
    close()
    assert list(namer.followed()) == []
