"""io.l5d.localhost and io.l5d.specificHost: only the addresses of certain hosts.

(linkerd: interpreter/subnet/.../{Localhost,SpecificHost}TransformerInitializer.scala)
"""

from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import ClassVar

from meshproxy.config.bases import NamerDeps, TransformerConfig
from meshproxy.config.decode import key
from meshproxy.discovery.interfaces import up_addresses
from meshproxy.naming.addr import Addr, AddrBound, Address
from meshproxy.naming.namer import Transformer
from meshproxy.naming.path import Path
from meshproxy.transformers.leaves import Change, LeafTransformer, keeping, kept
from meshproxy.var import Var, collect

_ANY_PORT = "80"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalhostConfig(TransformerConfig):
    """Keeps the addresses of this machine: those of its interfaces at the start, IPv4 only."""

    kind: ClassVar[str] = "io.l5d.localhost"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.localhost")

    def build(self, deps: NamerDeps) -> Transformer:
        """Returns the transformer. Raises OSError if the interfaces cannot be read."""
        return LeafTransformer(deps.prefix, keeping(partial(_is_among, up_addresses())))


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecificHostConfig(TransformerConfig):
    """Keeps the addresses of one host."""

    kind: ClassVar[str] = "io.l5d.specificHost"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.specificHost")
    host: str = key(doc="An IP address, or a name whose addresses are kept up to date.")

    def build(self, deps: NamerDeps) -> Transformer:
        """Returns the transformer."""
        return LeafTransformer(deps.prefix, self._change(deps))

    def _change(self, deps: NamerDeps) -> Change:
        try:
            return keeping(partial(_is_among, frozenset({str(ip_address(self.host))})))
        except ValueError:
            hosts = deps.resolver.resolve(self.host, _ANY_PORT)
            return lambda addr: _both(addr, hosts)


def _both(addr: Var[Addr], hosts: Var[Addr]) -> Var[Addr]:
    return collect((addr, hosts)).map(lambda pair: _kept_of(*pair))


def _kept_of(addr: Addr, hosts: Addr) -> Addr:
    """Returns the addresses in both *addr* and *hosts*; pending or failed as long as *hosts* is."""
    if not isinstance(addr, AddrBound):
        return addr
    if not isinstance(hosts, AddrBound):
        return hosts
    return kept(addr, partial(_is_among, frozenset(host.host for host in hosts.addresses)))


def _is_among(hosts: frozenset[str], address: Address) -> bool:
    return address.host in hosts
