"""Converts the text of a scalar to a number, an address, a name and the like.

As strict as linkerd's deserializers: a quoted number is not an integer, a word is not a boolean
(linkerd: config/.../Parser.scala and the `Deserializer`s beside it).
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import replace
from math import isfinite
from typing import Any, Final, NewType

from meshproxy.config.cpus import usable_cpus
from meshproxy.config.dtabs import parse_entries
from meshproxy.config.files import FILES
from meshproxy.config.nodes import Mapping, Node, Scalar, Sequence, is_unset
from meshproxy.egress.callers import NameEntry, RangeEntry, read_caller
from meshproxy.egress.entries import HostEntry, Item, MethodEntry, PathEntry, PortEntry
from meshproxy.egress.hosts import normalised
from meshproxy.egress.rules import DEFAULT
from meshproxy.egress.targets import TargetEntry, read_network
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.path import Path

Port = NewType("Port", int)
"""A TCP or UDP port, 0 to 65535."""
Ip = NewType("Ip", str)
"""A literal IPv4 or IPv6 address."""
AddressRange = NewType("AddressRange", str)
"""A range of addresses, or one address, such as `10.0.0.0/8`."""
HostAndPort = NewType("HostAndPort", str)
"""A host name or address with a port: `proxy.corp:3128`, `[fd00::1]:3128`."""
Regex = NewType("Regex", str)
"""A regular expression that must match a whole text."""
WorkerCount = NewType("WorkerCount", int)
"""A number of processes; `auto` means one for each CPU of this machine."""

RuleName = NewType("RuleName", str)
"""The name of an egress rule."""
HostItem = NewType("HostItem", Item[HostEntry])
PathItem = NewType("PathItem", Item[PathEntry])
PortItem = NewType("PortItem", Item[PortEntry])
MethodItem = NewType("MethodItem", Item[MethodEntry])
TargetItem = NewType("TargetItem", Item[TargetEntry])
CallerItem = NewType("CallerItem", Item[RangeEntry | NameEntry])

MAX_WORKERS: Final = 256
INT_LIMIT: Final = 2**31


_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_DIGITS_LIMIT: Final = 30


def plain(text: str) -> bool | int | float | str | None:
    """Returns the value of unquoted text: null, true, false, a number, or the text itself.

    `yes`, `on`, `0x10`, `1_000`, `12:30` and a date are text.
    """
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if len(text) <= _DIGITS_LIMIT:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and isfinite(float(text)):
            return float(text)
    return text


def unquoted(scalar: Scalar) -> Scalar:
    """Returns the scalar as if written without quotes."""
    return Scalar(scalar.mark, scalar.text, plain(scalar.text))


def show(scalar: Scalar) -> str:
    """Returns the scalar as an operator wrote it, cut to a readable length."""
    text = scalar.text if len(scalar.text) <= 60 else scalar.text[:57] + "..."
    return f"the text {text!r}" if isinstance(scalar.value, str) else text


def describe(node: Node) -> str:
    """Returns what *node* is, in the words of messages."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar():
            return "nothing" if is_unset(node) else show(node)


def _int(scalar: Scalar) -> int:
    if isinstance(scalar.value, int) and not isinstance(scalar.value, bool):
        if not -INT_LIMIT <= scalar.value < INT_LIMIT:
            raise ValueError(f"{show(scalar)} does not fit in 32 bits, write a smaller number")
        return scalar.value
    raise ValueError(f"expected an integer, found {show(scalar)}{_remedy(scalar, int)}")


def _float(scalar: Scalar) -> float:
    if isinstance(scalar.value, int | float) and not isinstance(scalar.value, bool):
        return float(scalar.value)
    raise ValueError(f"expected a number, found {show(scalar)}{_remedy(scalar, float)}")


def _bool(scalar: Scalar) -> bool:
    if isinstance(scalar.value, bool):
        return scalar.value
    raise ValueError(f"expected true or false, found {show(scalar)}{_remedy(scalar, bool)}")


def _str(scalar: Scalar) -> str:
    return scalar.text


def _port(scalar: Scalar) -> Port:
    number = _int(scalar)
    if not 0 <= number <= 65535:
        raise ValueError(f"{number} is outside the valid range for ports, 0 to 65535")
    return Port(number)


def _ip(scalar: Scalar) -> Ip:
    try:
        ipaddress.ip_address(scalar.text)
    except ValueError:
        raise ValueError(
            f"expected an IPv4 or IPv6 address in full, found {show(scalar)}; "
            "a host name is not accepted here"
        ) from None
    return Ip(scalar.text)


def _address_range(scalar: Scalar) -> AddressRange:
    return AddressRange(str(read_network(scalar.text)))


_HOST_AND_PORT = re.compile(
    r"((?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?)+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})"
)


def _host_and_port(scalar: Scalar) -> HostAndPort:
    found = _HOST_AND_PORT.fullmatch(scalar.text)
    if found is None:
        hint = ", without a scheme" if "://" in scalar.text else ""
        what = f"expected a host and a port such as proxy.corp:3128{hint}, found {show(scalar)}"
        raise ValueError(what)
    if not 0 < int(found[2]) <= 65535:
        raise ValueError(f"{found[2]} is not a port, 1 to 65535")
    host = normalised(found[1])
    if found[1].startswith("[") and ":" not in host:
        raise ValueError(f"{found[1]} is not an IPv6 address")
    return HostAndPort(f"[{host}]:{int(found[2])}" if ":" in host else f"{host}:{int(found[2])}")


def _worker_count(scalar: Scalar) -> WorkerCount:
    if scalar.text == "auto":
        return WorkerCount(min(usable_cpus(), MAX_WORKERS))
    if isinstance(scalar.value, int):
        number = _int(scalar)
        if 1 <= number <= MAX_WORKERS:
            return WorkerCount(number)
        raise ValueError(f"{number} is not between 1 and {MAX_WORKERS} processes")
    raise ValueError(f"expected a number of processes or `auto`, found {show(scalar)}")


def _path(scalar: Scalar) -> Path:
    try:
        return Path.parse(scalar.text)
    except ValueError as error:
        raise ValueError(f"{error}; write a path such as /svc/web") from None


def _dtab(scalar: Scalar) -> Dtab:
    entries = parse_entries(scalar.text)
    if scalar.span is None:
        return Dtab(entry.dentry for entry in entries)
    place = scalar.span.place
    return Dtab(replace(dentry, place=place(at)) for at, dentry in entries)


def _matcher(scalar: Scalar) -> PathMatcher:
    return PathMatcher.parse(scalar.text)


def _regex(scalar: Scalar) -> Regex:
    try:
        re.compile(scalar.text)
    except re.error as error:
        raise ValueError(f"{show(scalar)} is not a regular expression: {error}") from None
    return Regex(scalar.text)


_RULE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _rule_name(scalar: Scalar) -> RuleName:
    if not _RULE_NAME.fullmatch(scalar.text):
        raise ValueError(
            f"{show(scalar)} is no name of a rule, write 1 to 64 letters, digits, `.`, `_` and `-`"
        )
    if scalar.text == DEFAULT:
        raise ValueError(f"{DEFAULT} names what happens when no rule decides, write another")
    return RuleName(scalar.text)


def _item(parse: Callable[[str], Any]) -> Callable[[Scalar], Item[Any]]:
    """Returns what reads an entry of an egress rule, which may begin with `!`."""

    def read(scalar: Scalar) -> Item[Any]:
        text = scalar.text
        return Item(parse(text.removeprefix("!")), text.startswith("!"), text)

    return read


def _remedy(scalar: Scalar, wanted: type) -> str:
    return ", write it without quotes" if type(plain(scalar.text)) is wanted else ""


CONVERTERS: Final[dict[object, Callable[[Scalar], object]]] = {
    int: _int,
    float: _float,
    bool: _bool,
    str: _str,
    Port: _port,
    WorkerCount: _worker_count,
    Ip: _ip,
    AddressRange: _address_range,
    HostAndPort: _host_and_port,
    Path: _path,
    Dtab: _dtab,
    PathMatcher: _matcher,
    Regex: _regex,
    RuleName: _rule_name,
    HostItem: _item(HostEntry.parse),
    PathItem: _item(PathEntry.parse),
    PortItem: _item(PortEntry.parse),
    MethodItem: _item(MethodEntry.parse),
    TargetItem: _item(TargetEntry.parse),
    CallerItem: _item(read_caller),
}
"""Converts a scalar to each type; raises ValueError with what to write instead."""

TYPE_NAMES: Final[dict[object, str]] = {
    int: "integer",
    float: "number",
    bool: "true or false",
    str: "text",
    Port: "port",
    WorkerCount: "integer or `auto`",
    Ip: "IP address",
    AddressRange: "address or range",
    HostAndPort: "`host:port`",
    Path: "path",
    Dtab: "dtab",
    PathMatcher: "prefix pattern",
    **FILES,
    Regex: "regular expression",
    RuleName: "text",
    HostItem: "host",
    PathItem: "prefix pattern",
    PortItem: "port or `from-to`",
    MethodItem: "method",
    TargetItem: "class, address or range",
    CallerItem: "address, range or name",
}
"""The name of each type on the reference page and in messages."""
