"""Where an API is, followed as long as one of its watches asks."""

from collections.abc import Callable, Collection

from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.naming.addr import Addr, AddrBound, Address, AddrFailed, AddrNeg, AddrPending
from meshproxy.var import PENDING, Ok, State, Var, wait


class Location:
    """Follows *where* and compares it with `peer`, until closed.

    *moved*, which must not block, is called when `peer` is no longer one of the addresses while
    `is_busy`.
    """

    def __init__(self, where: Var[Addr], host: str, moved: Callable[[], None]) -> None:
        self.peer: Address | None = None
        """The address that is asked."""
        self.is_busy = False
        """True while a request is under way."""
        self._where = where
        self._host = host
        self._moved = moved
        self._addr: Addr = AddrPending()
        self.close = where.observe(self._see)
        """Stops following."""

    @property
    def has_moved(self) -> bool:
        """True if the API has addresses, and `peer` is none of them."""
        match self._addr:
            case AddrBound(addresses) if addresses and self.peer is not None:
                return self.peer not in addresses
        return False

    def addresses(self, seconds: float) -> Collection[Address]:
        """Returns the addresses. Raises `ApiFailure` if they are not known within *seconds*."""
        wait(self._where.map(_settled), seconds)
        match self._addr:
            case AddrBound(addresses):
                return addresses
            case AddrPending():
                raise ApiFailure(Reason.CONNECT, f"{self._host} is not resolved yet")
            case AddrFailed(why):
                raise ApiFailure(Reason.CONNECT, why)
            case AddrNeg():
                return ()

    def _see(self, addr: Addr) -> None:
        self._addr = addr
        if self.is_busy and self.has_moved:
            self._moved()


def _settled(addr: Addr) -> State[Addr]:
    return PENDING if isinstance(addr, AddrPending) else Ok(addr)
