"""What namers, transformers and interpreters are built with, as far as a test says nothing else."""

import ssl
from functools import partial
from typing import Any

from meshproxy.config.bases import InterpreterDeps, NamerDeps
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.metrics.tree import Tree
from meshproxy.namers.system import SystemNamers
from meshproxy.naming.addr import ADDR_NEG, Addr, AddrBound, Address
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path
from meshproxy.router.policy import client_tls
from meshproxy.runtime.origins import http2_to
from meshproxy.var import Var


class Literals:
    """Resolves addresses, `localhost`, and the names it is given; nothing else exists."""

    def __init__(self, **known: Var[Addr]) -> None:
        self.known = {name.replace("_", "."): addr for name, addr in known.items()}

    def resolve(self, host: str, port: str) -> Var[Addr]:
        """Resolve *host*."""
        if host in self.known:
            return self.known[host]
        if not host.replace(".", "").isdigit() and host != "localhost":
            return Var(ADDR_NEG)
        ip = "127.0.0.1" if host == "localhost" else host
        return Var(AddrBound(frozenset({Address(ip, int(port))})))


def load_tls(config: ClientTlsConfig) -> tuple[ssl.SSLContext, str | None] | None:
    """Load the files of a `tls` block as a running proxy does."""
    return client_tls(config)


def namer_deps(prefix: Path, **others: Any) -> NamerDeps:
    """Return the dependencies of a namer or a transformer."""
    resolver = others.get("resolver") or Literals()
    system = SystemNamers(resolver.resolve)
    defaults = {
        "metrics": Tree(),
        "resolver": resolver,
        "bind": partial(DefaultInterpreter((), system).bind, Dtab()),
        "environ": {},
        "tls": load_tls,
    }
    return NamerDeps(prefix=prefix, **{**defaults, **others})


def interpreter_deps(**others: Any) -> InterpreterDeps:
    """Return the dependencies of an interpreter."""
    system = others.get("system") or SystemNamers(Literals().resolve)
    defaults = {
        "namers": (),
        "system": system,
        "transformers": (),
        "metrics": Tree(),
        "bind": partial(DefaultInterpreter((), system).bind, Dtab()),
        "environ": {},
        "tls": load_tls,
        "http2": partial(http2_to, Tree()),
    }
    return InterpreterDeps(**{**defaults, **others})
