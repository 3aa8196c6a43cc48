"""What is read of namerd's streams."""

import json
from contextlib import closing
from typing import Any

import pytest

from meshproxy.discovery import namerd
from meshproxy.discovery.namerd import BoundName, Namerd, read_addr, read_tree
from meshproxy.discovery.watching.api import Api, Bounds
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.discovery.watching.failure import ApiFailure
from meshproxy.discovery.watching.line import Line
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, AddrBound, Address, AddrFailed
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf, NameTree, Union, Weighted
from meshproxy.naming.path import Path
from meshproxy.var import Var
from tests.kit.namerd import Namerd as Server
from tests.kit.namerd import alt, leaf, union

WEB = Leaf(BoundName(Path.parse("/#/web"), Path()))


def of(server: Server, namespace: str = "default") -> Namerd:
    where = Var(AddrBound(frozenset({Address("127.0.0.1", server.port)})))
    return Namerd(Api(where, "namerd:4180", bounds=Bounds(pace_s=0.0)), namespace)


def named(bound_id: str, residual: str = "/") -> Leaf[BoundName]:
    return Leaf(BoundName(Path.parse(bound_id), Path.parse(residual)))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"type": "neg"}, NEG),
        ({"type": "fail"}, FAIL),
        ({"type": "empty"}, EMPTY),
        (leaf("/#/web"), WEB),
        (leaf("/%/t/#/web", "/a/b"), named("/%/t/#/web", "/a/b")),
        ({"type": "leaf", "bound": {"id": "/#/web"}}, WEB),
        (alt({"type": "neg"}, leaf("/#/web"), leaf("/#/other")), WEB),
        (alt({"type": "neg"}, {"type": "fail"}, leaf("/#/web")), FAIL),
        (alt(), NEG),
        (
            union((1, leaf("/#/web")), (0.5, leaf("/#/b"))),
            Union((Weighted(1.0, WEB), Weighted(0.5, named("/#/b")))),
        ),
        ({"type": "delegate", "delegate": leaf("/#/web"), "path": "/svc"}, WEB),
        ({"type": "transformation", "name": "t", "tree": leaf("/#/web")}, WEB),
    ],
)
def test_a_tree_is_read(sent: Any, expected: NameTree[BoundName]) -> None:
    assert read_tree(json.dumps(sent).encode()) == expected


DEEP = b'{"type":"alt","alt":[' * 20_000 + b"]}" * 20_000


@pytest.mark.parametrize(
    "sent",
    [
        b"Unknown host: x", b"", b"[]", b"1", b"{}", DEEP,
        b'{"type": "leaf"}', b'{"type": "leaf", "bound": {"id": "/"}}',
        b'{"type": "leaf", "bound": {"id": "web"}}', b'{"type": "leaf", "bound": {"id": 7}}',
        b'{"type": "leaf", "bound": {"id": "/a", "path": 7}}',
        b'{"type": "alt"}', b'{"type": "union", "union": {}}',
        b'{"type": "union", "union": [{"weight": "1", "tree": {"type": "neg"}}]}',
        b'{"type": "union", "union": [{"weight": -1, "tree": {"type": "neg"}}]}',
        b'{"type": "union", "union": [{"weight": NaN, "tree": {"type": "neg"}}]}',
        b'{"type": "exception", "message": "no namer"}', b'{"type": ["neg"]}',
    ],
    ids=lambda sent: repr(sent[:40]),
)  # fmt: skip
def test_what_is_no_tree_is_malformed(sent: bytes) -> None:
    with pytest.raises(Malformed):
        read_tree(sent)


def one(**address: Any) -> bytes:
    sent = {"ip": "10.0.0.1", "port": 80, "meta": {}, **address}
    return json.dumps({"type": "bound", "addrs": [sent], "meta": {}}).encode()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b'{"type": "neg"}', ADDR_NEG),
        (b'{"type": "pending"}', ADDR_PENDING),
        (b'{"type": "failed", "cause": "gone"}', AddrFailed('namerd: "gone"')),
        (b'{"addrs": [], "type": "bound"}', AddrBound(frozenset())),
        (one(), AddrBound(frozenset({Address("10.0.0.1", 80)}))),
        (one(ip="::1"), AddrBound(frozenset({Address("::1", 80)}))),
        (one(meta=None), AddrBound(frozenset({Address("10.0.0.1", 80)}))),
        (
            one(meta={"endpoint_addr_weight": 2, "nodeName": "n1", "x": 1}),
            AddrBound(frozenset({Address("10.0.0.1", 80, 2.0, (("nodeName", "n1"),))})),
        ),
        (one(meta={"endpoint_addr_weight": "2"}), AddrBound(frozenset({Address("10.0.0.1", 80)}))),
        (one(ip="host.test"), AddrBound(frozenset())),
        (one(ip=None), AddrBound(frozenset())),
        (one(port=0), AddrBound(frozenset())),
        (one(port="80"), AddrBound(frozenset())),
    ],
)
def test_an_address_set_is_read(sent: bytes, expected: Any) -> None:
    assert read_addr(sent) == expected


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("web.service.consul", "web.service.consul"),
        ("web:80", "web:80"),
        ("a\r\nb", None),
        (7, None),
    ],
)
def test_an_authority_goes_along_if_it_can_be_a_host(
    authority: object, expected: str | None
) -> None:
    sent = {"type": "bound", "addrs": [], "meta": {"authority": authority}}
    assert read_addr(json.dumps(sent).encode()) == AddrBound(frozenset(), expected)


@pytest.mark.parametrize(
    "sent", [b"Unknown host: x", b"", b"[]", b"{}", b'{"type": "bound"}', b'{"type": 7}',
             b'{"type": "bound", "addrs": {}}'],
)  # fmt: skip
def test_what_is_no_address_set_is_malformed(sent: bytes) -> None:
    with pytest.raises(Malformed):
        read_addr(sent)


def test_streams_are_asked_for_and_followed() -> None:
    with Server() as server:
        server.bind("/svc/a b", leaf("/#/web"))
        asker = of(server, "my/space")
        line = Line(asker.api, lambda: None)
        with closing(line), closing(asker.bind(line, "/svc=>/#/x", Path.of("svc", "a b"))) as trees:
            assert next(trees) == NEG
        server.put("/#/web", ("10.0.0.1", 80))
        line = Line(asker.api, lambda: None)
        with closing(line), closing(asker.addr(line, Path.parse("/#/web"))) as addrs:
            assert next(addrs) == AddrBound(frozenset({Address("10.0.0.1", 80)}))
            server.put("/#/web")
            assert next(addrs) == AddrBound(frozenset())
            server.end_streams()
            assert list(addrs) == []
        assert server.targets() == [
            "/api/1/bind/my%2Fspace?path=%2Fsvc%2F%5Cx61%5Cx20%5Cx62&watch=1&dtab=%2Fsvc%3D%3E%2F%23%2Fx",
            "/api/1/addr/my%2Fspace?path=%2F%23%2Fweb&watch=1",
        ]


def test_a_stream_that_ends_with_words_is_malformed() -> None:
    with Server() as server:
        asker = of(server)
        line = Line(asker.api, lambda: None)
        with closing(line), closing(asker.addr(line, Path.parse("/#/web"))) as addrs:
            assert next(addrs) == ADDR_NEG
            server.end_streams(b"Unknown host: web\n")
            with pytest.raises(Malformed):
                next(addrs)


def test_without_a_place_it_is_asked_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namerd, "POLL_S", 0.001)
    with Server() as server:
        asker = of(server)
        places = [asker.api.place() for _ in range(100)]
        assert all(place.__enter__() for place in places)
        with closing(Line(asker.api, lambda: None)) as line:
            assert list(asker.addr(line, Path.parse("/#/web"))) == [ADDR_NEG]
        assert server.targets() == ["/api/1/addr/default?path=%2F%23%2Fweb"]


def test_a_path_that_namerd_does_not_take_is_a_failure() -> None:
    with Server() as server:
        server.faults["addr"] = 400
        asker = of(server)
        with closing(Line(asker.api, lambda: None)) as line, pytest.raises(ApiFailure) as raised:
            next(asker.addr(line, Path.parse("/#/web")))
        assert raised.value.status == 400
