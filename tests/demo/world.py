"""Everything the egress article talks to, on loopback and without root.

Pods have addresses of their own in 127.1.1.0/24, one node's worth of them. Ports 80 and 443 take
root, so the origin has free ports, and two rules at the end of the dtab lead 80 and 443 there.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import gevent
import yaml
from gevent import socket

from tests.demo.services import flaky, hello, world
from tests.kit.certs import Certs
from tests.kit.dns import DnsServer
from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.k8s import KubeApi
from tests.kit.statsd import Collector
from tests.kit.wire import get

ROOT = Path(__file__).parent.parent.parent
NODE, HELLO, WORLD, FLAKY, GONE = (f"127.1.1.{number}" for number in (1, 10, 11, 12, 13))
EXTERNAL = "linkerd.io"
START_S = 30.0


class World:
    """The cluster, DNS, the origin outside it, and a proxy in front; a context manager.

    With *statsd_port*, the proxy tells a statsd there everything each second, and the cluster has a
    service `flaky`, which fails now and then and has a pod that is gone, and `gone` with no other.
    """

    def __init__(self, statsd_port: int | None = None) -> None:
        self._statsd_port = statsd_port

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.port, self.admin_port, self._incoming = _free(4140), _free(9990), _free(4141)
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        certs = Certs(self._directory)
        self.statsd = stack.enter_context(Collector())
        self._dns = stack.enter_context(DnsServer())
        self._dns.put(EXTERNAL, "127.0.0.1")
        self._plain = stack.enter_context(Downstream(moved))
        self._secure = stack.enter_context(Downstream(found, context=certs.server(EXTERNAL)))
        self._api = stack.enter_context(KubeApi())
        services = {
            "l5d": ("incoming", NODE, self._incoming),
            "hello": ("http", HELLO, stack.enter_context(hello(HELLO, self.port)).port),
            "world-v1": ("http", WORLD, stack.enter_context(world(WORLD)).port),
        }
        for name, (port_name, address, port) in services.items():
            self._api.publish(name, address, port=port, port_name=port_name)
        if self._statsd_port is not None:
            pod = stack.enter_context(flaky(FLAKY))
            self._api.publish("flaky", FLAKY, GONE, port=pod.port)
            self._api.publish("gone", GONE, port=pod.port)
        config = self._directory / "egress.yaml"
        config.write_text(yaml.safe_dump(self.config(), sort_keys=False))
        environ = os.environ | {"POD_IP": NODE, "SSL_CERT_FILE": str(certs.bundle)}
        command = [sys.executable, "-m", "meshproxy", str(config)]
        proxy = subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL)
        stack.callback(_end, proxy)
        self._wait(proxy)

    def config(self) -> dict[str, Any]:
        """Return conf/egress.yaml with this world's ports in the place of the usual ones."""
        config: dict[str, Any] = yaml.safe_load((ROOT / "conf/egress.yaml").read_text())
        config["admin"]["port"] = self.admin_port
        config["dns"] = {"nameservers": [f"{self._dns.host}:{self._dns.port}"]}
        for namer in config["namers"]:
            namer |= {"host": "127.0.0.1", "port": self._api.port}
            for transformer in namer.get("transformers", []):
                transformer |= {"k8sHost": "127.0.0.1", "k8sPort": self._api.port}
        for telemeter in config["telemetry"]:
            if telemeter["kind"] == "io.l5d.statsd":
                telemeter["port"] = self._statsd_port or self.statsd.port
                if self._statsd_port is not None:
                    telemeter["gaugeIntervalMs"] = 1000
        outgoing, incoming = config["routers"]
        if self._statsd_port is not None:
            outgoing["client"]["configs"][0]["endpointStats"] = True
            incoming["client"]["endpointStats"] = True
        outgoing["egress"] = {"rules": [{"name": "us", "action": "allow", "to": "loopback"}]}
        outgoing["servers"] = [{"port": self.port, "ip": "127.0.0.1"}]
        incoming["servers"] = [{"port": self._incoming, "ip": NODE}]
        outgoing["dtab"] += (
            f"/ph/80  => /$/io.buoyant.rinet/{self._plain.port} ;\n"
            f"/ph/443 => /$/io.buoyant.rinet/{self._secure.port} ;\n"
        )
        secure = outgoing["client"]["configs"][1]
        secure["prefix"] = secure["prefix"].replace("/443/", f"/{self._secure.port}/")
        return config

    def _wait(self, proxy: "subprocess.Popen[bytes]") -> None:
        with gevent.Timeout(START_S):
            while proxy.poll() is None:
                try:
                    get(self.admin_port, "localhost", "/admin/ping")
                except OSError:
                    gevent.sleep(0.05)
                else:
                    return
        raise SystemExit(f"the proxy ended with status {proxy.returncode}")


def moved(request: Received) -> Answer:
    """Answer as the site outside does on port 80."""
    location = f"https://{EXTERNAL}{request.target}"
    return Answer(301, b"", (("Location", location),))


def found(_request: Received) -> Answer:
    """Answer as the site outside does over TLS."""
    return Answer(200, b"<!doctype html><title>outside</title>\n", (("Content-Type", "text/html"),))


def _free(wanted: int) -> int:
    """Return *wanted* if nobody listens there, else a port that is free."""
    for port in (wanted, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("0.0.0.0", port))
            except OSError:
                continue
            found_port: int = sock.getsockname()[1]
            return found_port
    raise SystemExit("no port is free")


def _end(proxy: "subprocess.Popen[bytes]") -> None:
    proxy.terminate()
    proxy.wait()
