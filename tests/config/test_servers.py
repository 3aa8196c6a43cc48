from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.servers import ServerConfig


def test_a_server_listens_on_loopback_by_default() -> None:
    server = ServerConfig()
    assert (server.ip, server.port) == ("127.0.0.1", 4140)


def test_a_port_is_a_number_that_a_port_can_be() -> None:
    findings = Findings("f")
    assert decode(ServerConfig, parse("port: 65536", findings), findings) is None
    (error,) = map(str, findings.found)
    assert error.startswith("f:1:7: port: ")
