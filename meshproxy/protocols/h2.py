"""Routers of HTTP/2 (linkerd: linkerd/protocol/h2/.../H2Config.scala)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

from meshproxy.classifiers.status import StreamClassifier
from meshproxy.config.bases import IdentifierConfig
from meshproxy.config.decode import Problem, key
from meshproxy.config.rolling import LogSettings, roll_policy
from meshproxy.config.svc import RETRY_BUFFER_BYTES
from meshproxy.http.limits import Limits
from meshproxy.identifiers.header import HeaderTokenConfig
from meshproxy.protocols.connect import connect
from meshproxy.protocols.message_router import MessageRouter, MessageRouterConfig, log_problems
from meshproxy.protocols.message_server import H2ServerConfig
from meshproxy.protocols.protocol import RouterDeps
from meshproxy.router.path_policy import HeldResponse, PathPolicy
from meshproxy.router.policy import ClientPolicy, Unset

_UNSET: Final = Unset(
    ClientPolicy(protocol="h2"),
    PathPolicy(
        classifier=StreamClassifier(),
        retry_buffer_bytes=RETRY_BUFFER_BYTES,
        held_response=HeldResponse(),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class H2RouterConfig(MessageRouterConfig):
    """A router of HTTP/2, and so of gRPC."""

    kind: ClassVar[str] = "h2"
    speaks: ClassVar[str | None] = "h2"
    former: ClassVar = {
        **MessageRouterConfig.former,
        "httpAccessLog": "for h2 it is h2AccessLog",
        "httpAccessLogRollPolicy": "for h2 it is h2AccessLogRollPolicy",
        "httpAccessLogAppend": "for h2 it is h2AccessLogAppend",
        "httpAccessLogRotateCount": "for h2 it is h2AccessLogRotateCount",
        "maxHeadersKB": "for h2 it is maxHeaderListBytes, under servers",
        "streamAfterContentLengthKB": "for h2 it is service.retryBufferSize",
        "compressionLevel": "h2 routers do not compress, remove it",
        "initialStreamWindowBytes": "it belongs under client or servers",
        "headerTableBytes": "it belongs under client or servers",
        "maxFrameBytes": "it belongs under client or servers",
        "maxHeaderListBytes": "it belongs under client or servers",
        "windowUpdateRatio": "it belongs under client or servers",
        "maxConcurrentStreamsPerConnection": "it belongs under servers",
        "classificationTimeoutMs": "it belongs under service",
        "retryBufferSize": "it belongs under service",
    }

    servers: tuple[H2ServerConfig, ...] = key(default=(), doc="Listening sockets; at least one.")
    h2_access_log: str | None = key(
        default=None,
        doc="File that gets a line for each request of a client; created if it does not exist, "
        "relative to the working directory.",
    )
    h2_access_log_roll_policy: str = key(
        default="never",
        doc="When a new file begins: `never`, `hourly`, `daily`, `weekly(n)` with 1 for Sunday, "
        "`sighup`, or a size such as `10.megabytes`.",
    )
    h2_access_log_append: bool = key(
        default=True, doc="Append to an existing file; otherwise it is emptied at start."
    )
    h2_access_log_rotate_count: int = key(default=-1, doc="Rolled files kept; -1 means all.")
    h2_access_log_format: Literal["combined", "json"] = key(
        default="combined",
        added=True,
        doc="The form of a line: Linkerd's combined format, or a JSON object.",
    )
    grpc_errors: Literal["status", "linkerd"] = key(
        default="status",
        added=True,
        doc="How callers of gRPC hear of errors of the proxy itself: `status` is a `grpc-status`, "
        "`linkerd` a reset stream or an HTTP status, as for all others.",
    )

    def check(self) -> Iterable[Problem]:
        """Yields problems: those of any router, a bad roll policy, a log without a place."""
        yield from MessageRouterConfig.check(self)
        yield from log_problems(self.h2_access_log, self.h2_access_log_roll_policy, "h2AccessLog")

    def identifiers(self) -> tuple[IdentifierConfig, ...]:
        """Returns the configured identifiers, or else `io.l5d.header.token` on `:authority`."""
        return self.identifier or (HeaderTokenConfig(header=":authority"),)

    @property
    def log_format(self) -> str:
        """The form of the lines of the access log."""
        return self.h2_access_log_format

    @property
    def grpc_status(self) -> bool:
        """True if callers of gRPC get errors as its status."""
        return self.grpc_errors == "status"

    @property
    def access_log(self) -> LogSettings | None:
        """The file that gets a line for each request, if any."""
        if not self.h2_access_log:
            return None
        return LogSettings(
            self.h2_access_log,
            roll_policy(self.h2_access_log_roll_policy),
            append=self.h2_access_log_append,
            keep=self.h2_access_log_rotate_count,
        )

    def for_worker(self) -> "H2RouterConfig":
        """Returns the part of it that a worker serves: one process empties and rolls logs."""
        return replace(self, h2_access_log_append=True, h2_access_log_roll_policy="never")

    def limits(self) -> Limits:
        """Returns the limits of messages, those of `http` routers but for what is held of bodies.

        That is as much as any service asks for, and each service limits it to its own.
        """
        sizes = [settings.retry_buffer_size for _, settings in self.service.rules]
        held = [size.request_bytes for size in sizes if size is not None]
        return Limits(replay_bytes=max([RETRY_BUFFER_BYTES, *held]))

    def build(self, deps: RouterDeps) -> MessageRouter:
        """Returns the router. Raises TlsFailed or ValueError for TLS files that cannot be used."""
        return MessageRouter(self, deps, connect, _UNSET)
