"""What transformers are built with, and how their results are read."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from meshproxy.config.bases import TransformerConfig
from meshproxy.naming.addr import ADDR_NEG, Addr, AddrBound, Address
from meshproxy.naming.bound import Bound, ChosenBy
from meshproxy.naming.namer import BoundTree, Transformer
from meshproxy.naming.nametree import Leaf
from meshproxy.naming.path import Path
from meshproxy.var import Activity, Failed, Var
from tests.kit.deps import namer_deps


class Names:
    """Resolves what it was given."""

    def __init__(self) -> None:
        self.known: dict[str, Var[Addr]] = {}

    def resolve(self, host: str, _port: str) -> Var[Addr]:
        """Return the addresses of *host*, negative if there are none."""
        return self.known.setdefault(host, Var(ADDR_NEG))


class Build:
    """Builds transformers."""

    def __init__(self) -> None:
        self.environ: Mapping[str, str] = {}
        self.names = Names()
        self.bound: dict[str, Activity[BoundTree]] = {}

    def __call__(self, config: TransformerConfig) -> Transformer:
        deps = namer_deps(
            config.full_prefix(self.environ),
            resolver=self.names,
            bind=lambda path: self.bound.get(path.show(), Var(Failed(LookupError()))),
            environ=self.environ,
        )
        return config.build(deps)


@pytest.fixture
def build() -> Build:
    return Build()


def parse(text: str) -> Address:
    """Read `host:port` or `host:port@node`."""
    at, _, node = text.partition("@")
    host, _, port = at.rpartition(":")
    return Address(host, int(port), meta=(("nodeName", node),) if node else ())


class Follow:
    """The id and the addresses of a name after a transformer."""

    def __init__(self, transformer: Transformer, *addresses: str) -> None:
        self.addr: Var[Addr] = Var(AddrBound(frozenset(map(parse, addresses))))
        bound = Bound(Path.of("#", "x"), self.addr, Path.of("r"), ChosenBy.REQUEST)
        tree: Any = transformer.transform(Leaf(bound))
        assert isinstance(tree, Leaf)
        assert tree.value.residual == Path.of("r")
        self.id = tree.value.id.show()
        self.chosen_by = tree.value.chosen_by
        self.seen: list[Addr] = []
        self.close = tree.value.addr.observe(self.seen.append)

    @property
    def now(self) -> list[str] | Addr:
        """`host:port` of each address, sorted, or what there is instead."""
        addr = self.seen[-1]
        if not isinstance(addr, AddrBound):
            return addr
        return sorted(f"{address.host}:{address.port}" for address in addr.addresses)


@pytest.fixture
def follow() -> Callable[..., Follow]:
    return Follow
