"""The names under `/$/`, which need no configuration.

finagle: Namer.scala (`global`), InetResolver.scala; linkerd: namer/core/.../io/buoyant/rinet.scala.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from meshproxy.discovery.hostname import full_form, literal
from meshproxy.errors import BindingFailed
from meshproxy.metrics.tree import Tree
from meshproxy.namers.rewriting import REWRITERS, Rewriter
from meshproxy.namers.zk_leader import LEADER, Leaders
from meshproxy.naming.addr import ADDR_PENDING, Addr, AddrBound
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import EMPTY, FAIL, NEG, Leaf
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Source, Var

SYSTEM: Final = Path.of("$")

_CONSTANTS: Final[dict[bytes, Lookup]] = {b"nil": EMPTY, b"fail": FAIL}
_MAX_FIXED: Final = 16_000
_RAW: Final = re.compile(rb"[0-9A-Za-z_:.#$%-]+")
_INTEGER: Final = re.compile(rb"[+-]?0*[0-9]{1,10}")


class SystemNamers:
    """All system namers; *resolve* finds the addresses for the texts of a host and a port.

    *metrics* is the scope of all namers.
    """

    def __init__(
        self, resolve: Callable[[str, str], Var[Addr]], metrics: Tree | None = None
    ) -> None:
        self._resolve = resolve
        self._fixed = _FixedAddresses(resolve)
        self._leaders = Leaders(resolve, (metrics or Tree()).scope(f"$/{LEADER}"))
        self._kinds: dict[bytes, Callable[[Path], Lookup]] = {
            b"inet": lambda path: _inet(path, resolve),
            b"fixedinet": lambda path: _inet(path, self._fixed.resolve),
            b"io.buoyant.rinet": self._rinet,
            LEADER.encode(): self._leader,
        }

    @property
    def names(self) -> frozenset[bytes]:
        """What may follow `/$`."""
        return frozenset({*self._kinds, *_CONSTANTS, *REWRITERS})

    def lookup(self, path: Path) -> Lookup:
        """Returns the tree for what follows `/$`; an unknown namer is a failure, not negative."""
        if not path:
            return NEG
        name = path[0]
        if name in REWRITERS:
            return _rewritten(REWRITERS[name], path)
        if name in self._kinds:
            return self._kinds[name](path)
        return _CONSTANTS.get(name) or _unknown(path)

    def _rinet(self, path: Path) -> Lookup:
        if len(path) < 3:
            return NEG
        port, host = _integer(path[1]) or path[1], _spelled(path[2])
        if not (_RAW.fullmatch(port) and _RAW.fullmatch(host)):
            return _failed(f"Invalid host or port in path: {(SYSTEM + path).show()}")
        addr = self._resolve(host.decode("ascii"), port.decode("ascii"))
        return Leaf(
            Bound(SYSTEM + Path.of(path[0], port, host), addr, path.drop(3), ChosenBy.REQUEST)
        )

    def _leader(self, path: Path) -> Lookup:
        try:
            return self._leaders.lookup(path)
        except ValueError as error:
            return _failed(f"{error}: {(SYSTEM + path).show()}")


def _inet(path: Path, resolve: Callable[[str, str], Var[Addr]]) -> Lookup:
    port = _integer(path[2]) if len(path) > 2 else None
    if port is not None:
        host = _spelled(path[1])
        addr = resolve(full_form(host.decode(errors="replace")), port.decode("ascii"))
        return Leaf(
            Bound(SYSTEM + Path.of(path[0], host, port), addr, path.drop(3), ChosenBy.REQUEST)
        )
    port = _integer(path[1]) if len(path) > 1 else None
    if port is not None:
        addr = resolve("", port.decode("ascii"))
        return Leaf(Bound(SYSTEM + Path.of(path[0], port), addr, path.drop(2), ChosenBy.REQUEST))
    return _unknown(path)


def _rewritten(rewriter: Rewriter, path: Path) -> Lookup:
    rest = path.drop(1)
    try:
        found = rewriter(rest) if rest else None
    except ValueError as error:
        return _failed(f"{error}: {(SYSTEM + path).show()}")
    return NEG if found is None else Leaf(found)


def _unknown(path: Path) -> Lookup:
    name = path.take(1).show()[1:]
    return _failed(f"Unknown namer: {name} for path: {(SYSTEM + path).show()}")


def _failed(why: str) -> Lookup:
    return Var(Failed(BindingFailed(why)))


def _integer(segment: bytes) -> bytes | None:
    """Returns the shortest text of a 32-bit integer; None if *segment* is not one."""
    if not _INTEGER.fullmatch(segment):
        return None
    number = int(segment)
    return b"%d" % number if -(2**31) <= number < 2**31 else None


def _spelled(host: bytes) -> bytes:
    """Returns the spelling of *host* in ids: an address without brackets, others in lower case."""
    address = literal(host.decode("latin-1"))
    return host.lower() if address is None else address.encode("ascii")


class _FixedAddresses:
    """Resolves each host and port until it succeeds, and then never again."""

    def __init__(self, resolve: Callable[[str, str], Var[Addr]]) -> None:
        self._resolve = resolve
        self._found: OrderedDict[tuple[str, str], AddrBound] = OrderedDict()

    def resolve(self, host: str, port: str) -> Var[Addr]:
        return Source(lambda emit: self._follow((host, port), emit), ADDR_PENDING)

    def _follow(self, key: tuple[str, str], emit: Callable[[Addr], None]) -> Callable[[], None]:
        closes: list[Callable[[], None]] = []

        def take(addr: Addr) -> None:
            emit(addr)
            if isinstance(addr, AddrBound):
                self._keep(key, addr)
                for close in closes:
                    close()

        known = self._found.get(key)
        if known is not None:
            emit(known)
            return lambda: None
        close = self._resolve(*key).observe(take)
        closes.append(close)
        if key in self._found:
            close()
        return close

    def _keep(self, key: tuple[str, str], addr: AddrBound) -> None:
        if len(self._found) >= _MAX_FIXED:
            self._found.popitem(last=False)
        self._found[key] = addr
