"""namerd's mesh interface by grpcio: bound trees, replicas and delegations, once or as streams.

The server is a process of its own, as grpcio's threads and loops are no friends of gevent's. It is
told what it knows, and tells what it is asked, by a line of JSON each.
"""

import base64
import json
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gevent
from gevent import subprocess

from .closing import Closing
from .k8s import wait_until
from .wire import WAIT_S

Object = dict[str, Any]
METHODS = {
    "Interpreter/GetBoundTree": ("BindReq", "BoundTreeRsp"),
    "Interpreter/StreamBoundTree": ("BindReq", "BoundTreeRsp"),
    "Resolver/GetReplicas": ("ReplicasReq", "Replicas"),
    "Resolver/StreamReplicas": ("ReplicasReq", "Replicas"),
    "Delegator/GetDelegateTree": ("DelegateTreeReq", "DelegateTreeRsp"),
}


class Mesh(Closing):
    """The process and what it has been asked."""

    def __init__(self, port: int = 0, tls: tuple[Path, Path] | None = None) -> None:
        """*tls* is the chain and the key of the certificate."""
        self._port, self._tls = port, [str(file) for file in tls or ()]
        self.asked: list[tuple[str, Object]] = []
        """Each call: the method and the request, as JSON."""
        self.streams = 0
        """Streams that are open."""
        self.said: list[Object] = []
        self._known: list[Object] = []
        self._start()

    def bind(self, path: str, tree: Object) -> None:
        """Let *path* be bound to *tree*, a BoundNameTree."""
        self._tell(what="tree", key=path, value={"tree": tree})

    def put(self, bound_id: str, replicas: Object) -> None:
        """Let *bound_id* have these Replicas."""
        self._tell(what="replicas", key=bound_id, value=replicas)

    def delegate(self, path: str, tree: Object) -> None:
        """Let *path* be delegated by *tree*, a BoundDelegateTree."""
        self._tell(what="steps", key=path, value={"tree": tree})

    def fail(self, code: str | None, *, late: bool = False) -> None:
        """Let every call fail with this status, *late* after a message; None: no more."""
        self._tell(what="fail", key="", value={"code": code, "late": late})

    def end_streams(self) -> None:
        """End all streams with status 0."""
        self._tell(what="end", key="", value={})

    def forget(self) -> None:
        """Know nothing any more, and end all streams."""
        self._known.clear()
        self._send({"what": "forget", "key": "", "value": {}})
        wait_until(lambda: not self.streams)
        self.asked.clear()

    def stop(self) -> None:
        """End the process; what it knows is kept for `restart`."""
        self._process.kill()
        self._process.wait()
        self._reading.join(timeout=WAIT_S)
        self.streams = 0

    def restart(self) -> None:
        """Start again, on the same port."""
        self._start()

    def close(self) -> None:
        """End the process."""
        self.stop()

    def _start(self) -> None:
        environ = {
            key: value for key, value in os.environ.items() if key != "COVERAGE_PROCESS_START"
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kit.mesh", str(self._port), *self._tls],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environ, "GRPC_VERBOSITY": "NONE"},
        )
        self._port = self.port = int(self._process.stdout.readline())
        self._reading = gevent.spawn(self._read, self._process.stdout)
        for known in self._known:
            self._send(known)

    def _tell(self, **what: Any) -> None:
        self._known = [
            one for one in self._known if (one["what"], one["key"]) != (what["what"], what["key"])
        ]
        if what["what"] != "end":
            self._known.append(what)
        self._send(what)

    def _send(self, what: Object) -> None:
        before = len(self.said)
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()
        wait_until(lambda: len(self.said) > before)

    def _read(self, output: Any) -> None:
        for line in output:
            said = json.loads(line)
            match said:
                case {"call": method, "request": request}:
                    self.asked.append((method, request))
                case {"streams": count}:
                    self.streams = count
                case _:
                    self.said.append(said)


class _Server:
    """What the process knows, and the threads that wait for a change of it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._facts: dict[tuple[str, str], Object] = {}
        self._ended = self._streams = 0

    def take(self, what: str, key: str, value: Object) -> None:
        """Learn a fact, or end all streams."""
        with self._changed:
            if what in ("end", "forget"):
                self._ended += 1
            else:
                self._facts[what, key] = value
            if what == "forget":
                self._facts.clear()
            self._changed.notify_all()
        _say(done=True)

    def handler(self, method: str) -> Any:
        """Return what serves *method*."""
        if "/Get" in method:
            return grpc.unary_unary_rpc_method_handler(
                lambda wire, context: next(self._answers(method, wire, context))
            )
        return grpc.unary_stream_rpc_method_handler(
            lambda wire, context: self._answers(method, wire, context)
        )

    def _answers(self, method: str, wire: bytes, context: Any) -> Iterator[bytes]:
        asks, says = METHODS[method]
        request = read(asks, wire)
        _say(call=method, request=request)
        ended, said = self._ended, None
        failing = self._facts.get(("fail", ""), {"code": None, "late": False})
        self._count(+1)
        try:
            if failing["code"] and not failing["late"]:
                context.abort(grpc.StatusCode[failing["code"]], "told to fail")
            while context.is_active() and self._ended == ended:
                now = self._look(method, request)
                if now is None:
                    context.abort(grpc.StatusCode.NOT_FOUND, "no such root")
                elif now != said:
                    yield write(says, now)
                    said = now
                if failing["code"]:
                    context.abort(grpc.StatusCode[failing["code"]], "told to fail")
                with self._changed:
                    self._changed.wait(0.05)
        finally:
            self._count(-1)

    def _look(self, method: str, request: Object) -> Object | None:
        if "Replicas" in method:
            return self._facts.get(("replicas", _name(request.get("id", {}))), {"neg": {}})
        if _name(request.get("root", {})) != "/default":
            return None
        what, name = "tree", request.get("name", {})
        if "Delegate" in method:
            what, name = "steps", request["tree"]["leaf"]["id"]
        return self._facts.get((what, _name(name)), {"tree": {"neg": {}}})

    def _count(self, change: int) -> None:
        with self._changed:
            self._streams += change
            _say(streams=self._streams)


def _say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _name(sent: Object) -> str:
    return "/" + "/".join(base64.b64decode(elem).decode() for elem in sent.get("elems", ()))


def _serve(port: int, tls: list[str]) -> None:
    known = _Server()
    server = grpc.server(ThreadPoolExecutor(300), options=[("grpc.so_reuseport", 0)])
    for service in ("Interpreter", "Resolver", "Delegator"):
        handlers = {
            method.partition("/")[2]: known.handler(method)
            for method in METHODS
            if method.startswith(service)
        }
        generic = grpc.method_handlers_generic_handler(f"io.linkerd.mesh.{service}", handlers)
        server.add_generic_rpc_handlers((generic,))
    address = f"127.0.0.1:{port}"
    if tls:
        chain, key = (Path(file).read_bytes() for file in tls)
        port = server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)]))
    else:
        port = server.add_insecure_port(address)
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    for line in sys.stdin:
        known.take(**json.loads(line))


if __name__ == "__main__":
    import grpc  # in this process alone, where nothing is patched

    from tests.kit.mesh_messages import read, write

    _serve(int(sys.argv[1]), sys.argv[2:])
