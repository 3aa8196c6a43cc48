import pytest

from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.protocols.message_server import HttpServerConfig


def read(text: str) -> tuple[HttpServerConfig | None, list[str]]:
    findings = Findings("f")
    config = decode(HttpServerConfig, parse(text, findings), findings)
    return config, [str(error) for error in findings.found]


def test_the_keys_that_are_built() -> None:
    config, errors = read(
        "port: 1\nip: '::'\nlabel: x\nmaxConcurrentRequests: 2\nclearContext: true\n"
        "timeoutMs: 3\nmaxCallDepth: 4\nheaderReadTimeoutMs: 5\nmaxConnections: 6\n"
        "socketOptions: {backlog: 7}\nserverSession: {idleTimeMs: 8}\nconnectPorts: [9]\n"
    )
    assert errors == []
    assert config is not None
    assert (config.port, config.ip, config.max_concurrent_requests) == (1, "::", 2)
    assert (config.clear_context, config.timeout_ms, config.max_call_depth) == (True, 3, 4)
    assert (config.header_read_timeout_ms, config.max_connections) == (5, 6)
    assert config.socket_options is not None
    assert config.socket_options.backlog == 7
    assert config.server_session is not None
    assert config.server_session.idle_time_ms == 8
    assert config.connect_ports == (9,)


def test_a_labeler_is_a_mapping() -> None:
    _, errors = read("addForwardedHeader: {by: ip}")
    assert errors == ["f:1:26: addForwardedHeader.by: expected a mapping, found the text 'ip'"]


def test_labelers_are_random_where_none_is_written() -> None:
    config, errors = read("addForwardedHeader: {by: {kind: static, label: me}}")
    assert errors == []
    assert config is not None
    assert config.add_forwarded_header is not None
    by, for_ = config.add_forwarded_header.labelers("out")
    assert by(None, "") == "_me"
    assert for_(None, "") != for_(None, "")


@pytest.mark.parametrize("name", ["'a b'", "'x:'", "x\u00e9"])
def test_a_timestamp_needs_the_name_of_a_header(name: str) -> None:
    (error,) = read(f"timestampHeader: {name}")[1]
    assert error.endswith("cannot be the name of a header")


def test_the_engine_is_gone() -> None:
    (error,) = read("engine: {kind: netty4}")[1]
    assert error == "f:1:1: engine: unknown key, removed in Linkerd 1.3, remove it"
