import pytest

from meshproxy.config.decode import Config, decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.sockets import (
    HostConnectionPoolConfig,
    SessionConfig,
    SocketOptionsConfig,
)

SOCKET = """
noDelay: false
reuseAddr: false
reusePort: true
keepAlive: true
backlog: 5
readTimeoutMs: '61000'
writeTimeoutMs: 5
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            SOCKET,
            SocketOptionsConfig(
                no_delay=False,
                reuse_addr=False,
                reuse_port=True,
                keep_alive=True,
                backlog=5,
                read_timeout_ms=61000,
                write_timeout_ms=5,
            ),
        ),
        ("idleTimeMs: '1'\nlifeTimeMs: 2", SessionConfig(idle_time_ms=1, life_time_ms=2)),
        (
            "minSize: 1\nmaxSize: '2'\nidleTimeMs: 3\nmaxWaiters: 4",
            HostConnectionPoolConfig(min_size=1, max_size=2, idle_time_ms=3, max_waiters=4),
        ),
    ],
)
def test_every_key_is_read(text: str, expected: Config) -> None:
    findings = Findings("f")
    assert decode(type(expected), parse(text, findings), findings) == expected
    assert findings.found == []
