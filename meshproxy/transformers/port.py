"""io.l5d.port: the same hosts on another port (linkerd: namer/core/.../PortTransformer.scala)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from meshproxy.config.bases import NamerDeps, TransformerConfig
from meshproxy.config.decode import Port, key
from meshproxy.naming.addr import Addr, AddrBound
from meshproxy.naming.namer import Transformer
from meshproxy.naming.path import Path
from meshproxy.transformers.leaves import LeafTransformer


@dataclass(frozen=True, slots=True, kw_only=True)
class PortConfig(TransformerConfig):
    """Replaces the port of every address."""

    kind: ClassVar[str] = "io.l5d.port"
    port: Port = key(minimum=1, doc="The new port.")

    def full_prefix(self, environ: Mapping[str, str]) -> Path:
        """Returns the prefix with its `/%`."""
        del environ
        return Path.of("%") + (self.prefix or Path.of(self.kind, str(self.port)))

    def build(self, deps: NamerDeps) -> Transformer:
        """Returns the transformer."""
        return LeafTransformer(deps.prefix, lambda addr: addr.map(self._on_port), redirects=True)

    def _on_port(self, addr: Addr) -> Addr:
        if not isinstance(addr, AddrBound):
            return addr
        addresses = frozenset(replace(one, port=self.port) for one in addr.addresses)
        return replace(addr, addresses=addresses)
