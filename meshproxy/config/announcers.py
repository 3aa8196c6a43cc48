"""The base class of announcers, and what they are to the assembly."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from meshproxy.config.bases import Resolver
from meshproxy.config.model import Kinded, key
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncerDeps:
    """What an announcer may use."""

    metrics: Tree
    resolver: Resolver


class Announcement(Protocol):
    """A server that is published under a name."""

    def close(self) -> None:
        """Withdraws it, and waits for that, but not for long."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncerConfig(Kinded):
    """Publishes the addresses of servers."""

    category: ClassVar[str] = "announcers"
    offers: ClassVar[str] = "announce"
    default_prefix: ClassVar[Path]
    prefix: Path | None = key(
        default=None, doc="Publishes the names in `announce` that begin with `/#` and this."
    )

    def full_prefix(self) -> Path:
        """Returns the prefix with its `/#`."""
        return Path.of("#") + (self.prefix or self.default_prefix)

    def build(self, deps: AnnouncerDeps) -> Any:
        """Returns the announcer: its `announce` takes a name below the prefix and endpoints.

        Each endpoint is a host and a port; the result is an `Announcement`.
        """
        raise NotImplementedError

    def trial(self) -> object:
        """Asks for the prefix, which a class without `default_prefix` has not."""
        self.full_prefix()
        return None
