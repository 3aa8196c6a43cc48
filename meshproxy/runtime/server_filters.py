"""What a server's configuration puts around its router, and the log its requests go to."""

from meshproxy.config.rolling import roll_policy
from meshproxy.config.routers import HttpRouterConfig
from meshproxy.config.servers import HttpServerConfig
from meshproxy.filters.access_log import FORMATS, AccessLog
from meshproxy.filters.forwarded import AddForwarded
from meshproxy.http.limits import Limits
from meshproxy.metrics.tree import Tree
from meshproxy.router.router import Router
from meshproxy.router.stacks import HttpFilter, server_stack
from meshproxy.server.log_file import LogFile
from meshproxy.server.log_writer import LogWriter


def log_settings(config: HttpRouterConfig) -> tuple[object, ...]:
    """What the log of a router depends on; another log is needed when it differs."""
    return (
        config.http_access_log,
        config.http_access_log_roll_policy,
        config.http_access_log_append,
        config.http_access_log_rotate_count,
    )


def access_log(router: Router) -> LogWriter | None:
    """The log of all servers of *router*, not yet started; None when it has none."""
    if not router.config.http_access_log:
        return None
    return LogWriter(log_file(router.config), router.metrics.scope("access_log"))


def log_file(config: HttpRouterConfig) -> LogFile:
    """The file of the log of a router that has one."""
    return LogFile(
        config.http_access_log or "",
        roll_policy(config.http_access_log_roll_policy),
        append=config.http_access_log_append,
        keep=config.http_access_log_rotate_count,
    )


def server_filters(
    router: Router,
    config: HttpServerConfig,
    limits: Limits,
    metrics: Tree,
    log: LogWriter | None,
) -> list[HttpFilter]:
    """The stack of one server of *router*."""
    forwarded = None
    if config.add_forwarded_header is not None:
        by, for_ = config.add_forwarded_header.labelers(router.label)
        forwarded = AddForwarded(by, for_, secure=config.tls is not None)
    form = FORMATS[router.config.http_access_log_format]
    return server_stack(
        limits,
        config.max_call_depth,
        metrics,
        clear_context=config.clear_context,
        max_concurrent=config.max_concurrent_requests or None,
        timeout_seconds=max(config.timeout_ms or 0, 0) / 1000 or float("inf"),
        enforce_deadlines=config.enforce_deadlines,
        forwarded=forwarded,
        timestamp_header=config.timestamp_header,
        compression_level=router.config.compression_level,
        access_log=AccessLog(log.write, form) if log is not None else None,
    )
