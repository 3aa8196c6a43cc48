"""What routers of HTTP/1 and HTTP/2 share: servers, their stacks, the access log, traces."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from meshproxy.client.transport import Connect
from meshproxy.config.bases import TracePropagatorConfig
from meshproxy.config.decode import Problem, Severity, default_of, key
from meshproxy.config.h2 import h2_settings
from meshproxy.config.rolling import LogSettings, roll_policy
from meshproxy.config.routers import RouterConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.filters.access_log import AccessLog
from meshproxy.filters.access_log_lines import FORMATS, json_line
from meshproxy.filters.trace import ServerSpan
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response
from meshproxy.http.propagation import Propagator, Several
from meshproxy.metrics.tree import Tree
from meshproxy.protocols.message_server import MessageServerConfig
from meshproxy.protocols.protocol import RouterDeps
from meshproxy.router.policy import HTTP_UNSET, Unset
from meshproxy.router.router import Router
from meshproxy.server.h1.protocol import Http1
from meshproxy.server.h1.refusals import refuser
from meshproxy.server.h2.protocol import Http2
from meshproxy.server.h2.stats import H2ServerStats
from meshproxy.server.listener import ServerParameters
from meshproxy.server.log_file import LogFile
from meshproxy.server.log_writer import LogWriter
from meshproxy.server.negotiated import ALPN, Negotiated
from meshproxy.server.opening import balancers_of
from meshproxy.server.protocol import Answer, ServerProtocol
from meshproxy.server.tls import server_context
from meshproxy.service import Service, stack

_ALPN = {"http": ("http/1.1",), "h2": ("h2",), "auto": ALPN}


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRouterConfig(RouterConfig):
    """A router of requests and responses."""

    servers: tuple[MessageServerConfig, ...] = key(
        default=(), doc="Listening sockets; at least one."
    )
    trace_propagator: tuple[TracePropagatorConfig, ...] | None = key(
        default=None,
        one_or_many=True,
        doc="How traces are carried; `io.l5d.default` when unset. Of a list, the first to find a "
        "trace is used for reading, and all are written.",
    )

    @property
    def log_format(self) -> str:
        """The form of the lines of the access log, a key of `FORMATS`."""
        raise NotImplementedError

    @property
    def compression_level(self) -> int:
        """The level of zlib for responses; 0 is no compression."""
        return 0

    @property
    def grpc_status(self) -> bool:
        """True if callers of gRPC get errors as its status."""
        return True

    def limits(self) -> Limits:
        """Returns the limits of messages."""
        raise NotImplementedError

    def propagator(self) -> Propagator:
        """Returns the reader and writer of the fields that carry a trace."""
        unset = (default_of(TracePropagatorConfig, "io.l5d.default"),)
        built = [one.build() for one in self.trace_propagator or unset]
        return built[0] if len(built) == 1 else Several(built)


def log_problems(file: str | None, policy: str, prefix: str) -> Iterable[Problem]:
    """Yields problems of an access log, whose keys begin with *prefix*."""
    if file and not Path(file).parent.is_dir():
        what = f"no line is written until there is a directory for {file}"
        yield Problem(what, prefix, Severity.WARNING)
    try:
        roll_policy(policy)
    except ValueError as error:
        yield Problem(str(error), f"{prefix}RollPolicy")


class MessageRouter(Router):
    """A router with its servers and its access log, taken over from *deps.before* if possible.

    *connect* makes the connections to endpoints; *unset* is what clients and services are like as
    far as the configuration says nothing.
    """

    def __init__(
        self,
        config: MessageRouterConfig,
        deps: RouterDeps,
        connect: Connect,
        unset: Unset = HTTP_UNSET,
    ) -> None:
        before = deps.before if isinstance(deps.before, MessageRouter) else None
        limits = config.limits()
        super().__init__(
            config,
            deps.interpreter,
            limits,
            deps.metrics,
            connect,
            deps.guard,
            deps.resolve,
            before,
            unset,
        )
        self.access_log = _access_log(config.access_log, deps.metrics, before)
        """The log of all servers, not yet started; None if there is none."""
        self._limits = [server.limits(limits) for server in config.servers]
        log = self.access_log
        form = FORMATS[config.log_format]
        names = self.binding.routes.names if form is json_line else None
        logging = AccessLog(log.write, form, names) if log is not None else None
        self.servers: Sequence[ServerParameters] = [
            self._parameters(config, server, limits, deps, logging)
            for server, limits in zip(config.servers, self._limits, strict=True)
        ]
        """The parameters of each server in the order of the configuration."""

    def explain_limits(self) -> Iterable[str]:
        """Returns a line for every limit of every server, in bytes and seconds."""
        for server, limits in zip(self.config.servers, self._limits, strict=True):
            for field in fields(Limits):
                value = getattr(limits, field.name)
                if isinstance(value, int | float):
                    where = f"{self.label} {server.ip}:{server.port}"
                    yield f"{where} {field.name}: {value:g}"

    def _parameters(
        self,
        config: MessageRouterConfig,
        server: MessageServerConfig,
        limits: Limits,
        deps: RouterDeps,
        log: AccessLog | None,
    ) -> ServerParameters:
        name = f"{server.ip}/{server.port}"
        metrics = deps.metrics.scope("server", name)
        trace = ServerSpan(config.propagator(), deps.recorders, config.name)
        filters = server.filters(
            config.name,
            limits,
            metrics,
            trace,
            config.compression_level,
            log,
            deps.recent,
            grpc_status=config.grpc_status,
        )
        service = stack([*deps.filters(name), *filters], self.serve)
        answer = refuser(
            limits,
            metrics,
            clear_context=server.clear_context,
            log=log,
            recent=deps.recent,
            router=config.name,
            server=name,
        )
        tls = server.tls
        return ServerParameters(
            protocol=_protocol(server, service, limits, answer, metrics),
            max_connections=server.max_connections,
            metrics=metrics,
            context=server_context(tls, _ALPN[server.spoken]) if tls is not None else None,
            proxy_protocol=balancers_of(server.proxy_protocol_from, limits),
            options=server.socket_options or SocketOptionsConfig(),
        )


def _protocol(
    server: MessageServerConfig,
    service: Service[Request, Response],
    limits: Limits,
    answer: Answer,
    metrics: Tree,
) -> ServerProtocol:
    """Returns how the connections of *server* are served."""
    http1 = Http1(service, limits, answer)
    if server.spoken == "http":
        return http1
    settings = h2_settings(server, limits, server.max_concurrent_streams_per_connection)
    http2 = Http2(service, limits, answer, H2ServerStats(metrics), settings)
    return http2 if server.spoken == "h2" else Negotiated(http1, http2)


def _access_log(
    settings: LogSettings | None, metrics: Tree, before: MessageRouter | None
) -> LogWriter | None:
    if settings is None:
        return None
    if before is not None and before.access_log and before.config.access_log == settings:
        return before.access_log
    return LogWriter(LogFile.of(settings), metrics.scope("access_log"))
