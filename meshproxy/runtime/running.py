"""Running namers and interpreters, which a reload keeps if their configuration is unchanged."""

from collections.abc import Callable
from dataclasses import fields
from ssl import SSLContext
from typing import Any, NamedTuple, TypeVar

from meshproxy.config.model import Kinded
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.config.watched import Watched
from meshproxy.errors import ProxyError
from meshproxy.naming.path import Path
from meshproxy.router.policy import client_context

T = TypeVar("T")
_NAMERS = b"#"


class Built(NamedTuple):
    """A built object and its configuration."""

    config: Kinded
    uses: tuple[object, ...]
    tls: tuple[Watched[SSLContext], SSLContext] | None
    """Its `tls` block, and the context that its files made."""
    product: Any


class Running:
    """The objects built for one configuration; *before* has those of the previous one."""

    def __init__(self, before: "Running | None" = None) -> None:
        self.built: list[Built] = []
        self._before = [] if before is None else before.built[:]

    def get(self, config: Kinded, uses: tuple[object, ...], make: Callable[[], T]) -> T:
        """Returns what was built from an equal configuration, else what *make* returns.

        It must also use the same objects *uses*, and the files of its `tls` must be unchanged.
        """
        tls = _tls_of(config)
        for built in self._before:
            if built[:3] == (config, uses, tls):
                self._before.remove(built)
                break
        else:
            built = Built(config, uses, tls, make())
        self.built.append(built)
        product: T = built.product
        return product

    def forget_before(self) -> None:
        """Drops the objects that were not reused."""
        self._before = []


def names_another(config: Kinded) -> bool:
    """Returns True if *config* names something that a configured namer has to look up."""
    return any(
        isinstance(value, Path) and value[:1] == (_NAMERS,)
        for value in (getattr(config, one.name) for one in fields(config))
    )


def _tls_of(config: Kinded) -> tuple[Watched[SSLContext], SSLContext] | None:
    """Returns the context for the present files of a `tls` block; None if it cannot work."""
    tls = getattr(config, "tls", None)
    try:
        found = client_context(tls) if isinstance(tls, ClientTlsConfig) else None
    except ProxyError:
        return None
    return None if found is None else (found, found.value)
