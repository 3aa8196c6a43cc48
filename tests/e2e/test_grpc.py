"""grpcio on both sides of a router: every kind of call, with its end."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from gevent import subprocess

from tests.kit.proxy import Proxy

WAIT_S = 60.0
CONFIG = """
admin: {{port: 0}}
routers:
- protocol: h2
  label: grpc
  identifier: {{kind: io.l5d.header.path, segments: 1}}
  dtab: /svc => /$/inet/127.0.0.1/{port}
  service: {{responseClassifier: {{kind: {classifier}}}}}
  servers: [{{port: 0}}]
"""


@contextmanager
def server() -> Iterator[int]:
    """Give the port of a server."""
    command = [sys.executable, "-m", "tests.kit.grpc_echo", "server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def asked(port: int) -> dict[str, Any]:
    """Return what a client at *port* finds."""
    command = [sys.executable, "-m", "tests.kit.grpc_echo", "client", str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "classifier", ["io.l5d.h2.nonRetryable5XX", "io.l5d.h2.grpc.neverRetryable"]
)
def test_every_kind_of_call_comes_through(classifier: str) -> None:
    with server() as port, Proxy(CONFIG.format(port=port, classifier=classifier)) as proxy:
        found = asked(proxy.port("grpc"))
        sent = found.pop("metadata")
        assert (sent["x-own"], sent["l5d-dst-service"]) == ("1", "/svc/test.Echo")
        assert found.pop("initial")["x-initial"] == "1"
        assert found.pop("trailing")["x-trailing"] == "2"
        assert found == {
            "unary": "hello",
            "large": True,
            "down": 300,
            "up": 99 * 999,
            "both": ["ba", "dc"],
            "failures": [
                ["NOT_FOUND", "wanted 5: 100 % \u00e9"],
                ["INTERNAL", "wanted 13: 100 % \u00e9"],
            ],
            "deadline": "DEADLINE_EXCEEDED",
            "seen": "1",
            "many": 1000,
        }
        scope = f"rt/grpc/client/$/inet/127.0.0.1/{port}"
        assert proxy.counts(scope, "cut_responses") == [0]
        (failures,) = proxy.counts(scope, "service/svc/test.Echo/failures")
        # the endpoint may end the call at its deadline before the client gives the call up
        assert failures in ((2, 3) if classifier.endswith("neverRetryable") else (0, 1))
