"""Where an ensemble of ZooKeeper is, and whether it can be asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from meshproxy.config.errors import Problem
from meshproxy.config.model import Config, key
from meshproxy.config.scalars import Port

CLIENT_MISSING: Final = (
    "needs the ZooKeeper client, which is not installed: pip install 'meshproxy[zookeeper]'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ZkAddrConfig(Config):
    """A server of an ensemble."""

    host: str = key(doc="Its host.")
    port: Port = key(default=Port(2181), minimum=1, doc="Its port for clients.")


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeZkAddrConfig(Config):
    """A server of an ensemble, its port written out."""

    host: str = key(doc="Its host.")
    port: Port = key(minimum=1, doc="Its port for clients.")


def has_client() -> bool:
    """Returns True if ZooKeeper can be asked here; imports nothing."""
    return find_spec("kazoo") is not None


def problems(servers: Iterable[object]) -> Iterable[Problem]:
    """Yields what is wrong with the servers of an ensemble, or with asking any."""
    if not has_client():
        yield Problem(CLIENT_MISSING)
    if not tuple(servers):
        yield Problem("names no server, write at least one", "zkAddrs")
