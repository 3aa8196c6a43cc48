"""Keeps requests away from our own listeners, since they would be in a loop.

RFC 9110 section 7.6.3 asks a proxy to end loops; status 508 is from RFC 5842. The address to be
connected to is checked, so no spelling of a name gets past; the check is made for each set of
addresses, not for each request.
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
"""Explains what may lead to a listener: to the admin server, and to a router."""
_LOOPBACK: Final = {4: ip_address("127.0.0.1"), 6: ip_address("::1")}


class OwnListener(NamedTuple):
    """A socket on which this process, or a worker beside it, listens."""

    ip: str
    port: int
    router: str | None = None
    """The label of its router; None for the admin server."""

    def show(self) -> str:
        """Returns the owner and the address for a message."""
        who = "the admin server" if self.router is None else f"router {self.router}"
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{who} of this proxy listens on {host}:{self.port}"


class OwnListeners:
    """All present listeners; *is_own* tells if an address belongs to this machine."""

    def __init__(self, is_own: Callable[[IpAddress], bool]) -> None:
        self.revision = 0
        """Rises with each change."""
        self._is_own = is_own
        self._by_port: dict[int, list[OwnListener]] = {}

    def replace(self, listeners: Iterable[OwnListener]) -> None:
        """Replaces all listeners."""
        self.revision += 1
        self._by_port = {}
        for one in listeners:
            self._by_port.setdefault(one.port, []).append(one)

    def at(self, address: Address) -> OwnListener | None:
        """Returns the listener at *address*; compares the port first."""
        listeners = self._by_port.get(address.port)
        if not listeners:
            return None
        ip = _reached(address.host)
        return next((one for one in listeners if ip and self._hears(_parsed(one.ip), ip)), None)

    def has_port_of(self, bound: Bound) -> bool:
        """Returns True if a segment of the id is the port of a listener."""
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
    """Decides which of *own* the requests of *router* may reach; counts refusals in *metrics*.

    Never those of the router itself; the admin server only if the operator wrote its address;
    other routers unless the request chose the address.
    """

    def __init__(self, own: OwnListeners, router: str, metrics: Tree) -> None:
        self._own = own
        self._router = router
        self._refused = metrics.counter("egress", "reason", "own_listener")

    @property
    def revision(self) -> int:
        """Rises with each change of the listeners."""
        return self._own.revision

    def refuses(self, address: Address, chosen_by: ChosenBy) -> OwnListener | None:
        """Returns the listener at *address* if it must not be reached."""
        found = map(self._own.at, address.reached)
        listener = next((one for one in found if one is not None), None)
        if listener is None:
            return None
        if listener.router is None:
            is_allowed = chosen_by is ChosenBy.OPERATOR
        else:
            is_allowed = listener.router != self._router and chosen_by is not ChosenBy.REQUEST
        return None if is_allowed else listener

    def chooser(self, bound: Bound) -> ChosenBy:
        """Returns who chose *bound*, if that matters for what is refused.

        A name of the system namers has one client for all choosers, except for our own ports.
        """
        if bound.chosen_by is ChosenBy.OPERATOR and not self._own.has_port_of(bound):
            return ChosenBy.REQUEST
        return bound.chosen_by

    def error(self, request: Request, bound: Bound, listener: OwnListener) -> LoopDetected:
        """Returns the error for *request*, which *bound* led to *listener*, and counts it."""
        self._refused.value += 1
        name = request.dst.show() if request.dst else "the request"
        return LoopDetected(
            f"Loop detected: {name} leads to {bound.id.show()}, where {listener.show()}. "
            f"{_WAYS[listener.router is None]}"
        )


class AddressGuard:
    """What *guard* says about the addresses of one client."""

    def __init__(self, guard: LoopGuard, chosen_by: ChosenBy) -> None:
        self._guard = guard
        self._chosen_by = chosen_by
        self._revision = guard.revision

    def refuses(self, address: Address) -> OwnListener | None:
        """Returns the listener at *address* if it must not be reached."""
        return self._guard.refuses(address, self._chosen_by)

    def has_changed(self) -> bool:
        """Returns True if the listeners are others than at the last call."""
        before, self._revision = self._revision, self._guard.revision
        return before != self._revision


def _reached(host: str) -> IpAddress | None:
    """Returns the address that a connection to *host* would reach.

    None for a name other than `localhost`, which Kubernetes may give in place of an address. A
    connection to the unspecified address reaches loopback (ip(7)).
    """
    if host == "localhost":
        return _LOOPBACK[4]
    try:
        address = _parsed(host)
    except ValueError:
        return None
    return _LOOPBACK[address.version] if address.is_unspecified else address


def _parsed(host: str) -> IpAddress:
    """Returns the address *host*, as IPv4 if it embeds one (RFC 4291 section 2.5.5.2)."""
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
