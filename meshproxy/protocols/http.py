"""Routers of HTTP/1.1 (linkerd: linkerd/protocol/http/.../HttpConfig.scala)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

from meshproxy.config.decode import Problem, key
from meshproxy.config.rolling import LogSettings, roll_policy
from meshproxy.config.routers import RouterConfig
from meshproxy.http.limits import Limits
from meshproxy.protocols.connect import connect
from meshproxy.protocols.message_router import MessageRouter, MessageRouterConfig, log_problems
from meshproxy.protocols.message_server import HttpServerConfig
from meshproxy.protocols.protocol import RouterDeps

_UNLIMITED_BYTES: Final = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRouterConfig(MessageRouterConfig):
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
    max_header_count: int = key(
        default=128, minimum=0, added=True, doc="Most header fields; 431 beyond it, 0 is no limit."
    )
    max_request_body_kb: int | None = key(
        default=None, minimum=0, added=True, doc="Largest request body; 413 beyond it."
    )

    def check(self) -> Iterable[Problem]:
        """Yields problems: no servers or identifiers, a bad roll policy, a log without a place."""
        yield from RouterConfig.check(self)
        policy = self.http_access_log_roll_policy
        yield from log_problems(self.http_access_log, policy, "httpAccessLog")

    @property
    def log_format(self) -> str:
        """The form of the lines of the access log."""
        return self.http_access_log_format

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

    def build(self, deps: RouterDeps) -> MessageRouter:
        """Returns the router. Raises TlsFailed or ValueError for TLS files that cannot be used."""
        return MessageRouter(self, deps, connect)
