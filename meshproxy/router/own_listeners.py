"""Keeps requests away from our own listeners, which would send them round in circles.

RFC 9110 section 7.6.3 asks a proxy to end loops; status 508 is RFC 5842's. Judged is the address
that is connected to, so no spelling of a name gets past; it is asked of each set of addresses, not
of each request.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from meshproxy.errors import LoopDetected
from meshproxy.http.message import Request
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.naming.bound import Bound, ChosenBy

IpAddress = IPv4Address | IPv6Address
_PORT: Final = re.compile(rb"0*([0-9]{1,5})")
_WAYS: Final = {
    True: "Only a dtab entry of the router that holds the whole address may lead there.",
    False: "Only another router's dtab, namers or transformers may lead there.",
}
"""What leads to a listener after all: to the admin server, and to a router."""
_LOOPBACK: Final = {4: ip_address("127.0.0.1"), 6: ip_address("::1")}


class OwnListener(NamedTuple):
    """A socket that this process, or a worker beside it, listens on."""

    ip: str
    port: int
    router: str | None = None
    """The label of the router that it belongs to; None for the admin server."""

    def show(self) -> str:
        """Returns who listens, and where."""
        who = "the admin server" if self.router is None else f"router {self.router}"
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{who} of this proxy listens on {host}:{self.port}"


class OwnListeners:
    """All of them, as they are now; *is_own* tells whether an address is this machine's."""

    def __init__(self, is_own: Callable[[IpAddress], bool]) -> None:
        self._is_own = is_own
        self._by_port: dict[int, list[OwnListener]] = {}

    def replace(self, listeners: Iterable[OwnListener]) -> None:
        """Takes *listeners* for all that there are."""
        self._by_port = {}
        for one in listeners:
            self._by_port.setdefault(one.port, []).append(one)

    def at(self, address: Address) -> OwnListener | None:
        """Returns who listens at *address*; the port is compared first."""
        listeners = self._by_port.get(address.port)
        if not listeners:
            return None
        ip = _reached(address.host)
        return next((one for one in listeners if ip and self._hears(_parsed(one.ip), ip)), None)

    def has_port_of(self, bound: Bound) -> bool:
        """Returns True if a segment of its id is the port of one of them."""
        return any(
            found is not None and int(found[1]) in self._by_port
            for found in map(_PORT.fullmatch, bound.id)
        )

    def _hears(self, listening: IpAddress, ip: IpAddress) -> bool:
        if listening == ip:
            return True
        if not listening.is_unspecified or listening.version < ip.version:
            return False
        return self._is_own(ip)


class LoopGuard:
    """Which of *own* the requests of *router* may reach; what is refused is counted in *metrics*.

    Never those of the router itself; the admin server only where the operator wrote its address;
    other routers unless the request chose the address.
    """

    def __init__(self, own: OwnListeners, router: str, metrics: Tree) -> None:
        self._own = own
        self._router = router
        self._refused = metrics.counter("egress", "reason", "own_listener")

    def refuses(self, address: Address, chosen_by: ChosenBy) -> OwnListener | None:
        """Returns the listener at *address* that must not be reached, if there is one."""
        listener = self._own.at(address)
        if listener is None:
            return None
        if listener.router is None:
            is_allowed = chosen_by is ChosenBy.OPERATOR
        else:
            is_allowed = listener.router != self._router and chosen_by is not ChosenBy.REQUEST
        return None if is_allowed else listener

    def chooser(self, bound: Bound) -> ChosenBy:
        """Returns who chose *bound*, where that makes a difference to what is refused.

        A name of the system namers is the same client's whoever chose it, but for our own ports.
        """
        if bound.chosen_by is ChosenBy.OPERATOR and not self._own.has_port_of(bound):
            return ChosenBy.REQUEST
        return bound.chosen_by

    def error(self, request: Request, bound: Bound, listener: OwnListener) -> LoopDetected:
        """Returns the error of *request*, which *bound* led to *listener*; counts it."""
        self._refused.value += 1
        name = request.dst.show() if request.dst else "the request"
        return LoopDetected(
            f"Loop detected: {name} leads to {bound.id.show()}, where {listener.show()}. "
            f"{_WAYS[listener.router is None]}"
        )


def _reached(host: str) -> IpAddress | None:
    """Returns the address that a connection to *host* arrives at.

    None for a name, which Kubernetes may give in the place of an address, but for `localhost`. To
    connect to the unspecified address is to connect to loopback (ip(7)).
    """
    if host == "localhost":
        return _LOOPBACK[4]
    try:
        address = _parsed(host)
    except ValueError:
        return None
    return _LOOPBACK[address.version] if address.is_unspecified else address


def _parsed(host: str) -> IpAddress:
    """Returns the address that *host* is, IPv4 where that is inside (RFC 4291 section 2.5.5.2)."""
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
