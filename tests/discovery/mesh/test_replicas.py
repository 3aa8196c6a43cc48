"""Addresses as namerd's mesh says them."""

import base64
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.discovery.mesh.replicas import read_replicas
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed
from tests.kit.mesh_messages import bound, message, write

TEN = base64.b64encode(bytes((10, 0, 0, 1))).decode()


def endpoint(**more: Any) -> dict[str, Any]:
    return {"bound": {"endpoints": [{"address": TEN, "port": 80, **more}]}}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"pending": {}}, ADDR_PENDING),
        ({"neg": {}}, ADDR_NEG),
        ({}, ADDR_NEG),
        ({"failed": {"message": "no zone"}}, AddrFailed("namerd: no zone")),
        ({"failed": {}}, AddrFailed("namerd: ")),
        (bound(), AddrBound(frozenset())),
        (
            bound(("10.0.0.1", 80), ("fd00::1", 81)),
            AddrBound(frozenset({Address("10.0.0.1", 80), Address("fd00::1", 81)})),
        ),
        (bound(("::ffff:10.0.0.1", 80)), AddrBound(frozenset({Address("10.0.0.1", 80)}))),
        (bound(authority="web.test"), AddrBound(frozenset(), "web.test")),
        (bound(authority="no host"), AddrBound(frozenset())),
    ],
)
def test_replicas_are_read(sent: Any, expected: Addr) -> None:
    assert read_replicas(write("Replicas", sent)) == expected


@pytest.mark.parametrize(
    ("more", "weight", "meta"),
    [
        ({"meta": {"nodeName": "n1"}}, 1.0, (("nodeName", "n1"),)),
        ({"metadata": {"zone": "b", "a": "c"}}, 1.0, (("a", "c"), ("zone", "b"))),
        ({"metadata": {"endpoint_addr_weight": "0.5"}}, 0.5, ()),
        ({"metadata": {"endpoint_addr_weight": "-1"}}, 1.0, ()),
        ({"metadata": {"endpoint_addr_weight": "nan"}}, 1.0, ()),
        ({"metadata": {"endpoint_addr_weight": "heavy", "authority": "x"}}, 1.0, ()),
    ],
)
def test_what_is_known_of_an_endpoint_is_kept(more: Any, weight: float, meta: Any) -> None:
    found = read_replicas(write("Replicas", endpoint(**more)))
    assert isinstance(found, AddrBound)
    (address,) = found.addresses
    assert (address.weight, address.meta) == (weight, meta)


@pytest.mark.parametrize(
    "more", [{"port": 0}, {"port": -1}, {"port": 65536}, {"address": ""}, {"address": "AAAA"}]
)
def test_an_endpoint_that_is_none_is_left_out(more: Any) -> None:
    assert read_replicas(write("Replicas", endpoint(**more))) == AddrBound(frozenset())


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(Malformed, match="UTF-8"):
        read_replicas(b"\x1a\x03\x0a\x01\xff")


@given(st.binary(max_size=60))
def test_any_bytes_are_replicas_or_refused(wire: bytes) -> None:
    try:
        found = read_replicas(wire)
    except Malformed:
        return
    try:
        which = message("Replicas").FromString(wire).WhichOneof("result") or "neg"
    except DecodeError:
        return  # within a message of which nothing is read
    kinds = {"pending": ADDR_PENDING, "neg": ADDR_NEG}
    assert kinds.get(which, found) == found
