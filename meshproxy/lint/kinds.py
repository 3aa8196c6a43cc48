"""Names that are known without asking anybody, by kind; for other kinds anything is possible."""

from collections.abc import Iterator
from typing import Final

from meshproxy.config import kinds
from meshproxy.config.bases import IdentifierConfig, NamerConfig, TransformerConfig
from meshproxy.identifiers.header import HeaderTokenConfig
from meshproxy.identifiers.method_and_host import MethodAndHostConfig
from meshproxy.identifiers.path import PathConfig
from meshproxy.identifiers.static import StaticIdentifierConfig
from meshproxy.namers.rewrite import RewriteNamerConfig
from meshproxy.namers.rewriting import REWRITERS
from meshproxy.namers.system import SYSTEM, SystemNamers
from meshproxy.naming.addr import ADDR_PENDING
from meshproxy.naming.nameset import ANY_NAME, NameSet
from meshproxy.naming.path import Path
from meshproxy.transformers.hosts import LocalhostConfig, SpecificHostConfig
from meshproxy.transformers.k8s import LocalNodeConfig
from meshproxy.var import Var

SYSTEM_NAMERS: Final = SystemNamers(lambda _host, _port: Var(ADDR_PENDING)).names
_CONSTANT: Final = {b"nil", b"fail"}
_NEVER_NEGATIVE: Final = {
    b"inet": 2,
    b"fixedinet": 2,
    b"nil": 2,
    b"fail": 2,
    b"io.buoyant.rinet": 4,
}
"""System namers that answer all names of so many segments, `$` and their own name included."""
_KEPT: Final = {b"io.buoyant.http.subdomainOfPfx": 3}
"""Which segment begins the name that a rewriting namer answers; the second where not said."""


def given(config: IdentifierConfig, prefix: Path) -> tuple[NameSet, ...]:
    """Returns the names that an identifier gives to requests, below *prefix*."""
    match config:
        case HeaderTokenConfig():
            return (NameSet((*prefix, None), is_open=False),)
        case PathConfig():
            return (NameSet((*prefix, *[None] * config.segments), is_open=False),)
        case StaticIdentifierConfig():
            return (NameSet(prefix + config.path, is_open=False),)
        case MethodAndHostConfig():
            is_open = config.http_uri_in_dst
            return (
                NameSet((*prefix, b"1.1", None, None), is_open),
                NameSet((*prefix, b"1.0", None), is_open),
            )
        case _:
            return (NameSet(prefix),)


def answered(config: NamerConfig) -> tuple[NameSet, ...]:
    """Returns the names that a namer may answer with instead of addresses."""
    if isinstance(config, RewriteNamerConfig):
        return (_of_template(config.name),)
    return () if kinds.KINDS["namers"].get(config.kind) else (ANY_NAME,)


def answered_by_system(names: NameSet) -> Iterator[NameSet]:
    """Returns the names that a system namer may answer with for some of *names*."""
    if not names.meets(SYSTEM):
        return
    rest = names.within(SYSTEM).segments[1:]
    if not rest or rest[0] is None:
        yield ANY_NAME
    elif rest[0] in REWRITERS:
        at = _KEPT.get(rest[0], 2)
        is_kept = rest[0].endswith(b"Pfx") and len(rest) >= at
        yield NameSet(rest[at - 1 : at]) if is_kept else ANY_NAME


def is_never_negative(names: NameSet) -> bool:
    """Returns True if a system namer answers each of *names*, with addresses or a failure."""
    known = names.segments
    if known[:1] != SYSTEM or len(known) < 2 or known[1] is None:
        return False
    if known[1] not in SYSTEM_NAMERS:
        return True
    return known[1] in _NEVER_NEGATIVE and len(known) >= _NEVER_NEGATIVE[known[1]]


def bound_by_system() -> list[NameSet]:
    """Returns the ids of what system namers bind."""
    binding = SYSTEM_NAMERS - REWRITERS.keys() - _CONSTANT
    return [NameSet((*SYSTEM, namer)) for namer in sorted(binding)]


def is_selective(config: TransformerConfig) -> bool:
    """Returns True if a transformer may leave a name without any address."""
    return isinstance(config, LocalhostConfig | SpecificHostConfig | LocalNodeConfig)


def _of_template(text: str) -> NameSet:
    """Returns the names that a text with variables may become."""
    try:
        segments = [
            None if "{" in part else Path.parse(f"/{part}")[0]
            for part in text.removeprefix("/").split("/")
        ]
    except (ValueError, IndexError):  # no name at all
        return ANY_NAME
    return NameSet(tuple(segments), is_open=False)
