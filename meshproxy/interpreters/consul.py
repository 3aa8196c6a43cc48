"""A dtab that is kept in Consul: io.l5d.consul.interpreter.

linkerd: interpreter/consul and namerd/storage/consul/.../ConsulDtabStore.scala.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from meshproxy.backoff import decorrelated_jitter
from meshproxy.config.bases import BackoffConfig, InterpreterConfig, InterpreterDeps
from meshproxy.config.decode import Port, Problem, Severity, key
from meshproxy.config.tls import ClientTlsConfig
from meshproxy.discovery.consul import Consistency, Consul, bad_token, token_headers
from meshproxy.discovery.watching.api import Api
from meshproxy.discovery.watching.watch import Watch, WatchStats
from meshproxy.errors import BindingFailed
from meshproxy.interpreters.default import DefaultInterpreter
from meshproxy.interpreters.stored import WatchedDtabInterpreter, read_dtabs, show_dtab
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path
from meshproxy.var import Failed, State

_NAMESPACE: Final = re.compile(r"[A-Za-z0-9_-]+")
_BACKOFF: Final = decorrelated_jitter(0.001, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsulInterpreterConfig(InterpreterConfig):
    """Binds names by a dtab that is kept in Consul, followed by the router's dtab.

    An absent key is an empty dtab. A text that does not parse leaves the dtab as it was.
    """

    kind: ClassVar[str] = "io.l5d.consul.interpreter"

    host: str = key(default="localhost", doc="The agent of Consul.")
    port: Port = key(default=Port(8500), minimum=1, doc="The port of its HTTP API.")
    path_prefix: Path = key(default=Path.of("namerd", "dtabs"), doc="Where the keys of dtabs are.")
    namespace: str = key(default="default", doc="The last part of the key.")
    token: str | None = key(default=None, doc="An ACL token, sent with every question.")
    datacenter: str | None = key(default=None, doc="The agent's own when unset.")
    read_consistency_mode: Consistency = key(default="default", doc="How fresh answers have to be.")
    write_consistency_mode: Consistency = key(
        default="default", doc="Has no effect: nothing is written."
    )
    fail_fast: bool = key(
        default=False, doc="No connection is tried for a second after one could not be had."
    )
    backoff: BackoffConfig | None = key(
        default=None, doc="Waits after failures; `jittered` from 1 ms to a minute when unset."
    )
    tls: ClientTlsConfig | None = key(default=None, doc="TLS to the agent; plain when unset.")

    def check(self) -> Iterable[Problem]:
        """Reports what Consul cannot have, and what has no effect."""
        if _NAMESPACE.fullmatch(self.namespace) is None:
            yield Problem("may have letters, digits, - and _ only", "namespace")
        if bad_token(self.token):
            yield Problem("has characters that no header can have", "token")
        if self.write_consistency_mode != "default":
            what = "has no effect, dtabs are only read"
            yield Problem(what, "writeConsistencyMode", Severity.WARNING)

    def build(self, deps: InterpreterDeps) -> WatchedDtabInterpreter:
        """Builds the interpreter. Raises TlsFailed when the files of `tls` cannot be used."""
        api = Api.at(
            deps.bind,
            self.host,
            self.port,
            tls=deps.tls(self.tls) if self.tls is not None else None,
            headers=token_headers(self.token),
            fail_fast=self.fail_fast,
        )
        consul = Consul(api, self.read_consistency_mode)
        stored_at = "/".join(
            segment.decode() for segment in self.path_prefix + Path.of(self.namespace)
        )
        unreadable = deps.metrics.counter("unreadable")

        def failed(error: ValueError) -> State[Dtab]:
            return Failed(BindingFailed(f"the dtab at {stored_at} in Consul: {error}"))

        watch: Watch[State[Dtab]] = Watch(
            api,
            self.namespace,
            lambda line: read_dtabs(
                consul.value(line, stored_at, self.datacenter), failed, unreadable
            ),
            backoff=self.backoff.build() if self.backoff is not None else _BACKOFF,
            stats=WatchStats(deps.metrics),
            show=show_dtab,
        )
        inner = DefaultInterpreter(deps.namers, deps.system, deps.transformers)
        return WatchedDtabInterpreter(watch, inner)
