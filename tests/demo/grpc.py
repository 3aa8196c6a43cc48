"""conf/grpc.yaml between a greeter and its client: `python -m tests.demo grpc`."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from tests.kit.daemons import START_S, Daemon
from tests.kit.k8s import wait_until
from tests.kit.wire import get

ROOT = Path(__file__).parent.parent.parent
NAME = "linkerd"
EXPECTED = f"""\
SayHello: Hello {NAME}
SayHelloStreamReply: Hello {NAME} 0, Hello {NAME} 1, Hello {NAME} 2
SayHelloBidiStream: Hello {NAME}-a, Hello {NAME}-b, Hello {NAME}-c
a service that nobody has: UNAVAILABLE
"""
_SERVICE = "rt/grpc/service/svc/helloworld.Greeter"
_CLIENT_S = 60.0


def main() -> int:
    """Run the calls; the result is 0 when each got its answer."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        greeter = stack.enter_context(_greeter())
        (directory / "helloworld.Greeter").write_text(f"127.0.0.1 {greeter}\n")
        port, admin_port = _serve(stack, directory)
        print(f"a greeter at {greeter}, found by its name in {directory}, and a client at {port}\n")
        command = [sys.executable, "-m", "tests.demo.greeter", "client", str(port), NAME]
        answer = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=_CLIENT_S, check=False
        ).stdout
        print(answer)
        metrics = json.loads(get(admin_port, "localhost", "/admin/metrics.json").body)
        for name in (f"{_SERVICE}/requests", f"{_SERVICE}/success"):
            print(f"{name}: {metrics.get(name)}")
    return 0 if answer == EXPECTED else 1


@contextmanager
def _greeter() -> Iterator[int]:
    """Give the port of a greeter."""
    command = [sys.executable, "-m", "tests.demo.greeter", "server"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            printed = process.stdout.readline()
            if not printed:
                raise SystemExit("the greeter did not start: it needs grpcio")
            yield int(printed)
        finally:
            process.kill()


def _serve(stack: ExitStack, directory: Path) -> tuple[int, int]:
    """Start conf/grpc.yaml on free ports; the router's and the admin server's."""
    config = yaml.safe_load((ROOT / "conf/grpc.yaml").read_text())
    config["admin"] = {"ip": "127.0.0.1", "port": 0}
    config["namers"][0]["rootDir"] = str(directory)
    config["routers"][0]["servers"][0] |= {"ip": "127.0.0.1", "port": 0}
    file, log = directory / ".grpc.yaml", directory / ".log"
    file.write_text(yaml.safe_dump(config))
    command = [sys.executable, str(ROOT / "bin/meshproxy"), str(file)]
    proxy = stack.enter_context(Daemon(command, log))
    wait_until(lambda: "admin: http" in proxy.output(), START_S)
    port, admin_port = re.findall(r"127\.0\.0\.1:(\d+)", proxy.output())[:2]
    return int(port), int(admin_port)
