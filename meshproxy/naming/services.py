"""SRV records: the hosts and ports that serve a name (RFC 2782)."""

from dataclasses import dataclass
from typing import NamedTuple


class ServiceRecord(NamedTuple):
    """A host and a port that serve."""

    priority: int
    """Those with the lowest number are to be used, as long as they can be."""
    weight: int
    """The share of requests among those of the same priority."""
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Services:
    """All records of a name, perhaps none, and for how many seconds they hold."""

    records: tuple[ServiceRecord, ...]
    ttl_s: float
