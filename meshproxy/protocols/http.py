"""Routers of HTTP/1.1 (linkerd: linkerd/protocol/http/.../HttpConfig.scala)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import ClassVar, Final, Literal

from meshproxy.client.h1.pool import EndpointPool
from meshproxy.config.bases import TracePropagatorConfig
from meshproxy.config.decode import Problem, Severity, default_of, key
from meshproxy.config.rolling import LogSettings, roll_policy
from meshproxy.config.routers import RouterConfig
from meshproxy.config.sockets import SocketOptionsConfig
from meshproxy.filters.access_log import AccessLog
from meshproxy.filters.access_log_lines import FORMATS, json_line
from meshproxy.filters.trace import ServerSpan
from meshproxy.http.limits import Limits
from meshproxy.http.propagation import Propagator, Several
from meshproxy.metrics.tree import Tree
from meshproxy.protocols.http_server import HttpServerConfig
from meshproxy.protocols.protocol import RouterDeps
from meshproxy.router.router import Router
from meshproxy.server.h1.protocol import Http1
from meshproxy.server.h1.refusals import refuser
from meshproxy.server.listener import ServerParameters
from meshproxy.server.log_file import LogFile
from meshproxy.server.log_writer import LogWriter
from meshproxy.server.opening import balancers_of
from meshproxy.server.tls import server_context
from meshproxy.service import stack

_UNLIMITED_BYTES: Final = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRouterConfig(RouterConfig):
    """A router of HTTP/1.1."""

    kind: ClassVar[str] = "http"
    speaks: ClassVar[str | None] = "http"

    servers: tuple[HttpServerConfig, ...] = key(default=(), doc="Listening sockets; at least one.")
    http_access_log: str | None = key(
        default=None,
        doc="File that gets a line for each request of a client; created if it does not exist, "
        "relative to the working directory.",
    )
    http_access_log_roll_policy: str = key(
        default="never",
        doc="When a new file begins: `never`, `hourly`, `daily`, `weekly(n)` with 1 for Sunday, "
        "`sighup`, or a size such as `10.megabytes`.",
    )
    http_access_log_append: bool = key(
        default=True, doc="Append to an existing file; otherwise it is emptied at start."
    )
    http_access_log_rotate_count: int = key(default=-1, doc="Rolled files kept; -1 means all.")
    http_access_log_format: Literal["combined", "json"] = key(
        default="combined",
        added=True,
        doc="The form of a line: Linkerd's combined format, or a JSON object.",
    )
    stream_after_content_length_kb: int = key(
        default=5, minimum=0, doc="Largest body that is held for a retry."
    )
    streaming_enabled: bool = key(default=True, only=(True,), doc="Bodies are streamed.")
    max_headers_kb: int = key(
        default=8, minimum=0, doc="Most bytes of header fields; 431 beyond it."
    )
    max_initial_line_kb: int = key(
        default=4, minimum=0, doc="Longest request or status line; 414 beyond it."
    )
    max_err_response_kb: int = key(default=5120, minimum=0, doc="Largest body of errors made here.")
    compression_level: int = key(
        default=-1,
        minimum=-1,
        maximum=9,
        doc="Compresses textual responses to clients that accept gzip: -1 is zlib's default level, "
        "1 to 9 range from fast to small, 0 disables it.",
    )
    trace_propagator: tuple[TracePropagatorConfig, ...] | None = key(
        default=None,
        one_or_many=True,
        doc="How traces are carried; `io.l5d.default` when unset. Of a list, the first to find a "
        "trace is used for reading, and all are written.",
    )
    max_header_count: int = key(
        default=128, minimum=0, added=True, doc="Most header fields; 431 beyond it, 0 is no limit."
    )
    max_request_body_kb: int | None = key(
        default=None, minimum=0, added=True, doc="Largest request body; 413 beyond it."
    )

    def check(self) -> Iterable[Problem]:
        """Yields problems: no servers or identifiers, a bad roll policy, a log without a place."""
        yield from RouterConfig.check(self)
        if self.http_access_log and not Path(self.http_access_log).parent.is_dir():
            what = f"no line is written until there is a directory for {self.http_access_log}"
            yield Problem(what, "httpAccessLog", Severity.WARNING)
        try:
            roll_policy(self.http_access_log_roll_policy)
        except ValueError as error:
            yield Problem(str(error), "httpAccessLogRollPolicy")

    @property
    def access_log(self) -> LogSettings | None:
        """The file that gets a line for each request, if any."""
        if not self.http_access_log:
            return None
        return LogSettings(
            self.http_access_log,
            roll_policy(self.http_access_log_roll_policy),
            append=self.http_access_log_append,
            keep=self.http_access_log_rotate_count,
        )

    def propagator(self) -> Propagator:
        """Returns the reader and writer of the fields that carry a trace."""
        unset = (default_of(TracePropagatorConfig, "io.l5d.default"),)
        built = [one.build() for one in self.trace_propagator or unset]
        return built[0] if len(built) == 1 else Several(built)

    def for_worker(self) -> "HttpRouterConfig":
        """Returns the part of it that a worker serves: one process empties and rolls logs."""
        return replace(self, http_access_log_append=True, http_access_log_roll_policy="never")

    def limits(self) -> Limits:
        """Returns the limits of messages; 0 disables one."""
        return Limits(
            first_line=self.max_initial_line_kb * 1024 or _UNLIMITED_BYTES,
            header_bytes=self.max_headers_kb * 1024 or _UNLIMITED_BYTES,
            header_count=self.max_header_count or _UNLIMITED_BYTES,
            body_bytes=(self.max_request_body_kb or 0) * 1024 or math.inf,
            replay_bytes=self.stream_after_content_length_kb * 1024,
            error_bytes=self.max_err_response_kb * 1024 or _UNLIMITED_BYTES,
        )

    def build(self, deps: RouterDeps) -> "HttpRouter":
        """Returns the router. Raises TlsFailed or ValueError for TLS files that cannot be used."""
        return HttpRouter(self, deps)


class HttpRouter(Router):
    """A router with its servers and its access log, taken over from *deps.before* if possible."""

    def __init__(self, config: HttpRouterConfig, deps: RouterDeps) -> None:
        before = deps.before if isinstance(deps.before, HttpRouter) else None
        limits = config.limits()
        super().__init__(
            config,
            deps.interpreter,
            limits,
            deps.metrics,
            EndpointPool,
            deps.guard,
            deps.resolve,
            before,
        )
        self.access_log = _access_log(config.access_log, deps.metrics, before)
        """The log of all servers, not yet started; None if there is none."""
        self._limits = [server.limits(limits) for server in config.servers]
        log = self.access_log
        form = FORMATS[config.http_access_log_format]
        names = self.binding.routes.names if form is json_line else None
        logging = AccessLog(log.write, form, names) if log is not None else None
        self.servers = [
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
        config: HttpRouterConfig,
        server: HttpServerConfig,
        limits: Limits,
        deps: RouterDeps,
        log: AccessLog | None,
    ) -> ServerParameters:
        name = f"{server.ip}/{server.port}"
        metrics = deps.metrics.scope("server", name)
        trace = ServerSpan(config.propagator(), deps.recorders, config.name)
        filters = server.filters(
            config.name, limits, metrics, trace, config.compression_level, log, deps.recent
        )
        return ServerParameters(
            protocol=Http1(
                stack([*deps.filters(name), *filters], self.serve),
                limits,
                refuser(limits, metrics, clear_context=server.clear_context),
            ),
            max_connections=server.max_connections,
            metrics=metrics,
            context=server_context(server.tls) if server.tls is not None else None,
            proxy_protocol=balancers_of(server.proxy_protocol_from, limits),
            options=server.socket_options or SocketOptionsConfig(),
        )


def _access_log(
    settings: LogSettings | None, metrics: Tree, before: HttpRouter | None
) -> LogWriter | None:
    if settings is None:
        return None
    if before is not None and before.access_log and before.config.access_log == settings:
        return before.access_log
    return LogWriter(LogFile.of(settings), metrics.scope("access_log"))
