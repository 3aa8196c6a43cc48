"""Keys of an http router as bytes and seconds."""

import math
from pathlib import Path

from meshproxy.config.errors import Severity
from meshproxy.http.limits import Limits
from meshproxy.protocols.http import HttpRouterConfig
from meshproxy.protocols.message_server import HttpServerConfig

ENOUGH = 2**31


def test_without_keys_there_are_the_defaults() -> None:
    assert HttpRouterConfig().limits() == Limits()
    assert HttpServerConfig().limits(Limits()) == Limits()


def test_kilobytes_are_1024_bytes() -> None:
    limits = HttpRouterConfig(
        max_initial_line_kb=1,
        max_headers_kb=2,
        max_request_body_kb=3,
        stream_after_content_length_kb=4,
        max_err_response_kb=5,
        max_header_count=6,
    ).limits()
    assert (limits.first_line, limits.header_bytes, limits.body_bytes) == (1024, 2048, 3072)
    assert (limits.replay_bytes, limits.error_bytes, limits.header_count) == (4096, 5120, 6)


def test_the_time_for_a_head_is_the_server_s() -> None:
    server = HttpServerConfig(header_read_timeout_ms=1500)
    assert server.limits(Limits()).head_seconds == 1.5


def test_zero_is_no_limit_but_keeps_no_body() -> None:
    router = HttpRouterConfig(
        max_initial_line_kb=0,
        max_headers_kb=0,
        max_request_body_kb=0,
        max_err_response_kb=0,
        max_header_count=0,
        stream_after_content_length_kb=0,
    )
    limits = HttpServerConfig(header_read_timeout_ms=0).limits(router.limits())
    sizes = (limits.first_line, limits.header_bytes, limits.header_count, limits.error_bytes)
    assert all(size >= ENOUGH for size in sizes)
    assert (limits.body_bytes, limits.head_seconds) == (math.inf, math.inf)
    assert limits.replay_bytes == 0


def test_a_log_without_a_directory_is_warned_of(tmp_path: Path) -> None:
    def problems(log: Path) -> list[tuple[str | None, Severity]]:
        config = HttpRouterConfig(servers=(HttpServerConfig(),), http_access_log=str(log))
        return [(problem.key, problem.severity) for problem in config.check()]

    assert problems(tmp_path / "access.log") == []
    assert problems(tmp_path / "none/access.log") == [("httpAccessLog", Severity.WARNING)]
