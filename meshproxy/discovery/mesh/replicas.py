"""Reads the addresses of a bound name (resolver.proto)."""

from ipaddress import ip_address
from math import isfinite
from typing import Final

from meshproxy.discovery.hostname import can_stand_in_host, literal
from meshproxy.discovery.namerd import AUTHORITY, WEIGHT
from meshproxy.discovery.protobuf import VARINT, Value, fields, one_of, tag_of, text, value_of
from meshproxy.discovery.watching.decoding import in_steps
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrBound, Address, AddrFailed

_NODE_NAME: Final = "nodeName"
_ADDRESS: Final = tag_of(2)
_PORT: Final = tag_of(3, VARINT)
_META: Final = tag_of(4)
_METADATA: Final = tag_of(5)


def read_replicas(data: bytes) -> Addr:
    """Returns the addresses of a Replicas; an endpoint that is none is left out.

    An address counts by its length, 4 or 16 bytes, since proto3 omits the family INET4, which is 0.
    Raises `Malformed`.
    """
    match one_of(data, range(1, 5)):
        case 1, _:
            return ADDR_PENDING
        case 3, sent:
            return AddrFailed(f"namerd: {text(value_of(sent, 1))}")
        case 4, sent:
            return _bound(sent)
    return ADDR_NEG


def _bound(data: bytes) -> AddrBound:
    found: list[Address] = []
    meta: dict[str, str] = {}
    for tag, value in in_steps(fields(data)):
        if not isinstance(value, bytes):
            continue
        if tag == tag_of(1) and (address := _endpoint(value)) is not None:
            found.append(address)
        elif tag == tag_of(2):
            meta |= _entry(value)
    authority = meta.get(AUTHORITY, "")
    return AddrBound(frozenset(found), authority if can_stand_in_host(authority) else None)


def _endpoint(data: bytes) -> Address | None:
    sent: dict[int, Value] = {}
    meta: dict[str, str] = {}
    for tag, value in fields(data):
        sent[tag] = value
        if tag == _METADATA and isinstance(value, bytes):
            meta |= _entry(value)
    address, port, node = sent.get(_ADDRESS), sent.get(_PORT), sent.get(_META)
    if isinstance(node, bytes) and (name := text(value_of(node, 1))):
        meta.setdefault(_NODE_NAME, name)
    if not isinstance(address, bytes) or len(address) not in (4, 16):
        return None
    if not isinstance(port, int) or not 0 < port < 65536:
        return None
    meta.pop(AUTHORITY, None)
    weight = _weight(meta.pop(WEIGHT, ""))
    host = literal(str(ip_address(address))) or ""
    return Address(host, port, weight, tuple(sorted(meta.items())))


def _weight(said: str) -> float:
    try:
        weight = float(said)
    except ValueError:
        return 1.0
    return weight if isfinite(weight) and weight >= 0 else 1.0


def _entry(data: bytes) -> dict[str, str]:
    """Reads an entry of a map of strings."""
    return {text(value_of(data, 1)): text(value_of(data, 2))}
