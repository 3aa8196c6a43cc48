"""HTTP/2 to servers that are no endpoints of a router."""

from pathlib import Path
from time import monotonic

import pytest

from meshproxy.config.tls import ClientTlsConfig
from meshproxy.errors import TlsFailed
from meshproxy.h2.settings import KeepAlive, LocalSettings
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import Address
from meshproxy.runtime.origins import http2_to
from tests.kit.certs import Certs
from tests.kit.h2_endpoint import H2Endpoint
from tests.kit.messages import request


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_server_is_reached_and_counted(tmp_path: Path, is_encrypted: bool) -> None:
    certs = Certs(tmp_path)
    metrics = Tree()
    context = config = None
    if is_encrypted:
        context = certs.server("namerd.test")
        context.set_alpn_protocols(["h2"])
        config = ClientTlsConfig(common_name="namerd.test", trust_certs_bundle=str(certs.bundle))
    with H2Endpoint(tls=context) as server:
        reach = http2_to(metrics, config, LocalSettings(), KeepAlive())
        origin = reach(Address("127.0.0.1", server.port))
        assert origin.exchange(request(), monotonic() + 5).body == b"ok"
        assert metrics.counter("connects").value == 1
        origin.close()


def test_files_that_cannot_be_used_are_an_error_at_once() -> None:
    config = ClientTlsConfig(common_name="namerd.test", trust_certs_bundle="/no/such/file")
    with pytest.raises(TlsFailed, match="/no/such/file"):
        http2_to(Tree(), config, LocalSettings(), KeepAlive())
