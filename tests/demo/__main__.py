"""Starts the article's world and runs its three curls: `python -m tests.demo [--serve]`.

`python -m tests.demo graphite` starts statsd, carbon and graphite beside it, and drives traffic.
`python -m tests.demo grpc` puts the proxy between a greeter of gRPC's tutorial and its client.
"""

from gevent import monkey

monkey.patch_all()

import argparse  # noqa: E402 (the patch comes first)
import shlex  # noqa: E402
import shutil  # noqa: E402
import signal  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402

from tests.demo import graphite, grpc  # noqa: E402
from tests.demo.world import EXTERNAL, World  # noqa: E402

CURLS = (
    ("a service in the cluster, which calls another", "-s", "hello", "Hello (127.1.1.10) World"),
    ("a name outside, on port 80", "-sI", EXTERNAL, "HTTP/1.1 301"),
    ("the same with TLS, added by the proxy", "-sI", f"{EXTERNAL}:443", "HTTP/1.1 200"),
)


def main() -> int:
    """Run the demo; the result is 0 when every curl got what the article shows."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="stay up until interrupted")
    parser.add_argument("what", nargs="?", choices=("curls", "graphite", "grpc"), default="curls")
    options = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # each stops what was started
        signal.signal(ending, signal.default_int_handler)
    if options.what == "graphite":
        return graphite.main()
    if options.what == "grpc":
        return grpc.main()
    if not shutil.which("curl"):
        raise SystemExit("the demo needs curl")
    with World() as world:
        print("hello and world are in a Kubernetes double, the outside is on this machine too.")
        print("Ports 80 and 443 need root: two added dtab rules lead them to other ports.\n")
        right = [show(world.port, *each) for each in CURLS]
        print(f"metrics, requests, configuration: http://127.0.0.1:{world.admin_port}/")
        if options.serve:
            print("serving until ^C", flush=True)
            try:
                gevent.get_hub().join()
            except KeyboardInterrupt:
                print()
    return 0 if all(right) else 1


def show(port: int, what: str, flags: str, host: str, expected: str) -> bool:
    """Run one curl, print it with its answer, and say whether that begins as it should."""
    command = ["curl", flags, "-m", "20", "-H", f"Host: {host}", f"localhost:{port}"]
    print(f"# {what}\n$ {shlex.join(arg for arg in command if arg not in {'-m', '20'})}")
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    print(answer.strip() + "\n", flush=True)
    return answer.startswith(expected)


if __name__ == "__main__":
    sys.exit(main())
