"""A Kubernetes API server on a loopback port: lists, watches, versions, and its failures.

It keeps Endpoints, EndpointSlices, Services, Ingresses and their Namespaces as the real one does,
well enough for kubectl.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import gevent
from gevent import select, socket
from gevent.event import Event
from gevent.queue import Empty, SimpleQueue
from gevent.server import StreamServer

from .closing import Closing
from .wire import WAIT_S

Object = dict[str, Any]

CORE = "/api/v1"
DISCOVERY = "/apis/discovery.k8s.io/v1"
NETWORKING = "/apis/networking.k8s.io/v1"
EXTENSIONS = "/apis/extensions/v1beta1"
KINDS = {
    "endpoints": ("Endpoints", "v1", CORE, ["ep"]),
    "services": ("Service", "v1", CORE, ["svc"]),
    "endpointslices": ("EndpointSlice", "discovery.k8s.io/v1", DISCOVERY, []),
    "ingresses": ("Ingress", "networking.k8s.io/v1", NETWORKING, ["ing"]),
    "namespaces": ("Namespace", "v1", CORE, ["ns"]),
    "configmaps": ("ConfigMap", "v1", CORE, ["cm"]),
}
SERVICE_NAME = "kubernetes.io/service-name"
POLL_S = 0.02
MAX_PAUSE_S = 0.05
_CUT, _END = b"cut", b"end"
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the history that a watch can start from."""

    version: int
    type: str
    plural: str
    object: Object


@dataclass(frozen=True, slots=True)
class Query:
    """What a request asks of one resource."""

    plural: str
    namespace: str | None
    name: str | None
    options: dict[str, str]

    def selects(self, plural: str, obj: Object) -> bool:
        """Whether *obj* is in the answer."""
        metadata = obj["metadata"]
        return (
            plural == self.plural
            and self.namespace in (None, metadata.get("namespace"))
            and _matches_fields(self.options.get("fieldSelector", ""), metadata)
            and _matches_labels(self.options.get("labelSelector", ""), metadata.get("labels", {}))
        )


@dataclass(eq=False, slots=True)
class Watcher:
    """An open watch; what is put into its queue goes out."""

    query: Query
    queue: "SimpleQueue[bytes]" = field(default_factory=SimpleQueue)


class KubeApi(Closing):
    """Serves until closed; a context manager. Change its objects with `apply` and `delete`."""

    def __init__(self, *, has_slices: bool = True, port: int = 0, host: str = "127.0.0.1") -> None:
        self.has_slices = has_slices
        self.has_beta_ingresses = False
        """Ingresses are in the group they had before Kubernetes 1.19, and in no other."""
        self.host = host
        self.requests: list[str] = []
        """The target of every request so far."""
        self.version = 100
        """The version of the last change; may be set back, as after a restore."""
        self.refusals: dict[str, int] = {}
        """A part of a target, and the status it is refused with."""
        self.answers: dict[str, bytes] = {}
        """A part of a target, and the body it is answered with."""
        self.watchers: list[Watcher] = []
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._history: list[Change] = []
        self._oldest = 0
        self._flow = Event()
        self._flow.set()
        self._open: set[socket.socket] = set()
        self._server: StreamServer | None = None
        self.port = port
        self.listen()
        self.apply(namespace_object("default"))

    def listen(self) -> None:
        """Accept connections, on the same port as before if there was one."""
        self._server = StreamServer((self.host, self.port), self._serve)
        self._server.start()
        self.port = self._server.server_port

    def close(self) -> None:
        """Refuse connections and cut those that are open."""
        if self._server is not None:
            self._server.stop(timeout=0)
            self._server = None
        self._flow.set()
        self.break_watches()
        for sock in list(self._open):
            sock.close()

    # What the cluster holds

    def apply(self, obj: Object) -> None:
        """Create or replace *obj*, and the namespace it is in."""
        plural = next(name for name, kind in KINDS.items() if kind[0] == obj["kind"])
        within = obj["metadata"].get("namespace", "")
        if within and ("namespaces", "", within) not in self._objects:
            self.apply(namespace_object(within))
        key = (plural, within, obj["metadata"]["name"])
        self._record("MODIFIED" if key in self._objects else "ADDED", plural, obj)
        self._objects[key] = self._history[-1].object

    def delete(self, plural: str, name: str, namespace: str = "default") -> None:
        """Delete one object."""
        obj = self._objects.pop((plural, namespace, name))
        self._record("DELETED", plural, obj)

    def publish(
        self,
        name: str,
        *hosts: str | tuple[str, str],
        port: int = 8080,
        port_name: str = "http",
        namespace: str = "default",
        labels: dict[str, str] | None = None,
    ) -> None:
        """Give the service *name* these hosts, with their nodes, as its controller would."""
        pairs = [(host, None) if isinstance(host, str) else host for host in hosts]
        ports = [{"name": port_name, "port": port, "protocol": "TCP"}]
        self.apply(endpoints(name, [subset(pairs, ports)], namespace, labels))
        self.apply(endpoint_slice(name, pairs, ports, namespace, labels))

    def withdraw(self, name: str, namespace: str = "default") -> None:
        """Delete all that `publish` made."""
        self.delete("endpoints", name, namespace)
        self.delete("endpointslices", f"{name}-1", namespace)

    def forget_history(self) -> None:
        """Let versions before now be too old to watch or page from."""
        self._history.clear()
        self._oldest = self.version

    # What goes wrong

    def end_watches(self) -> None:
        """End all watches as the server does after timeoutSeconds."""
        self.send(_END)

    def break_watches(self) -> None:
        """Cut the connections of all watches."""
        self.send(_CUT)

    def expire_watches(self) -> None:
        """Tell all watches that their version is too old, as an event."""
        self.send(_line("ERROR", _status(410, "Expired", "too old resource version")))

    def bookmark(self) -> None:
        """Send a bookmark to all watches."""
        for watcher in self.watchers:
            kind, version, _, _ = KINDS[watcher.query.plural]
            obj = {
                "kind": kind,
                "apiVersion": version,
                "metadata": {"resourceVersion": str(self.version)},
            }
            watcher.queue.put(_line("BOOKMARK", obj))

    def send(self, data: bytes) -> None:
        """Put *data* on the wire of all watches, as one chunk."""
        for watcher in self.watchers:
            watcher.queue.put(data)

    def stall(self) -> None:
        """Answer nothing any more, with all connections open."""
        self._flow.clear()

    def resume(self) -> None:
        """Go on after `stall`."""
        self._flow.set()

    # How it is served

    def _record(self, type_: str, plural: str, obj: Object) -> None:
        self.version += 1
        metadata = {
            "uid": f"uid-{plural}-{obj['metadata']['name']}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **obj["metadata"],
            "resourceVersion": str(self.version),
        }
        stored = {**obj, "metadata": metadata}
        self._history.append(Change(self.version, type_, plural, stored))
        for watcher in self.watchers:
            if watcher.query.selects(plural, stored):
                watcher.queue.put(_line(type_, stored))

    def _serve(self, sock: socket.socket, _peer: object) -> None:
        self._open.add(sock)
        try:
            with sock.makefile("rb") as reader:
                while head := list(_head(reader)):
                    method, target, _ = head[0].split(" ")
                    self.requests.append(target)
                    self._flow.wait()
                    self._answer(sock, method, target)
        except OSError:
            pass  # the client left, or `close` was called
        finally:
            self._open.discard(sock)
            sock.close()

    def _answer(self, sock: socket.socket, method: str, target: str) -> None:
        url = urlsplit(target)
        options = {key: values[-1] for key, values in parse_qs(url.query).items()}
        query = self._query(url.path, options)
        refused = next((self.refusals[part] for part in self.refusals if part in target), None)
        body = next((self.answers[part] for part in self.answers if part in target), None)
        directory = self._directory().get(url.path)
        if refused is not None:
            _reply(sock, refused, _status(refused, "Refused", "by the test"))
        elif body is not None:
            _send(sock, 200, body)
        elif method != "GET":
            _reply(sock, 405, _status(405, "MethodNotAllowed", method))
        elif directory is not None:
            _reply(sock, 200, directory)
        elif query is None:
            _reply(sock, 404, _status(404, "NotFound", url.path))
        elif options.get("watch") in ("true", "1"):
            self._watch(sock, query)
        else:
            self._get(sock, query)

    def _query(self, path: str, options: dict[str, str]) -> Query | None:
        for plural, (_, _, today, _) in KINDS.items():
            is_beta = today == NETWORKING and self.has_beta_ingresses
            group = EXTENSIONS if is_beta else today
            if not path.startswith(f"{group}/") or (group == DISCOVERY and not self.has_slices):
                continue
            match path.removeprefix(f"{group}/").split("/"):
                case ["namespaces", name] if plural == "namespaces":
                    return Query(plural, None, name, options)
                case ["namespaces", namespace, name] if name == plural:
                    return Query(plural, namespace, None, options)
                case ["namespaces", namespace, found, name] if found == plural:
                    return Query(plural, namespace, name, options)
                case [found] if found == plural:
                    return Query(plural, None, None, options)
        return None

    def _get(self, sock: socket.socket, query: Query) -> None:
        if query.name is not None:
            found = self._objects.get((query.plural, query.namespace or "", query.name))
            if found is None:
                return _reply(sock, 404, _status(404, "NotFound", query.name))
            return _reply(sock, 200, found)
        token = query.options.get("continue")
        version, start = map(int, token.split(".")) if token else (self.version, 0)
        if version < self._oldest:
            return _reply(sock, 410, _status(410, "Expired", "the continue token is too old"))
        items = [obj for key, obj in sorted(self._objects.items()) if query.selects(key[0], obj)]
        limit = int(query.options.get("limit", "0")) or len(items)
        metadata = {"resourceVersion": str(version)}
        left = len(items) - start - limit
        if left > 0:
            metadata |= {"continue": f"{version}.{start + limit}", "remainingItemCount": left}
        kind, api_version, _, _ = KINDS[query.plural]
        page = items[start : start + limit]
        return _reply(
            sock,
            200,
            {
                "kind": f"{kind}List",
                "apiVersion": api_version,
                "metadata": metadata,
                "items": page,
            },
        )

    def _watch(self, sock: socket.socket, query: Query) -> None:
        watcher = Watcher(query)
        for line in self._since(query):
            watcher.queue.put(line)
        self.watchers.append(watcher)
        try:
            _send(sock, 200, None)
            self._stream(sock, watcher, float(query.options.get("timeoutSeconds", "3600")))
        finally:
            self.watchers.remove(watcher)

    def _since(self, query: Query) -> Iterator[bytes]:
        version = query.options.get("resourceVersion", "")
        if version in ("", "0"):
            for key, obj in sorted(self._objects.items()):
                if query.selects(key[0], obj):
                    yield _line("ADDED", obj)
        elif int(version) < self._oldest:
            yield _line("ERROR", _status(410, "Expired", f"too old resource version: {version}"))
            yield _END
        for change in self._history if version not in ("", "0") else ():
            if change.version > int(version) and query.selects(change.plural, change.object):
                yield _line(change.type, change.object)

    def _stream(self, sock: socket.socket, watcher: Watcher, limit_s: float) -> None:
        with gevent.Timeout(limit_s, False):
            while True:
                try:
                    data = watcher.queue.get(timeout=POLL_S)
                except Empty:
                    if select.select([sock], [], [], 0)[0]:
                        raise ConnectionResetError("the client left") from None
                    continue
                if data is _CUT:
                    raise ConnectionAbortedError("cut by the test")
                self._flow.wait()
                if data is _END:
                    break
                sock.sendall(b"%x\r\n%b\r\n" % (len(data), data))
        sock.sendall(b"0\r\n\r\n")

    def _directory(self) -> dict[str, Object]:
        groups = [
            {
                "name": "discovery.k8s.io",
                "versions": [{"groupVersion": "discovery.k8s.io/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "discovery.k8s.io/v1", "version": "v1"},
            }
        ]
        pages = {
            "/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
            "/apis": {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": groups if self.has_slices else [],
            },
            CORE: _resources("v1"),
        }
        if self.has_slices:
            pages[DISCOVERY] = _resources("discovery.k8s.io/v1")
        return pages


def namespace_object(name: str) -> Object:
    """Make a Namespace object."""
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}}


def config_map(name: str, namespace: str = "default", **data: str) -> Object:
    """Make a ConfigMap."""
    metadata = {"name": name, "namespace": namespace}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data}


def endpoints(
    name: str,
    subsets: list[Object],
    namespace: str = "default",
    labels: dict[str, str] | None = None,
) -> Object:
    """Make an Endpoints object."""
    metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
    return {"kind": "Endpoints", "apiVersion": "v1", "metadata": metadata, "subsets": subsets}


def subset(
    hosts: Iterable[tuple[str, str | None]],
    ports: list[Object],
    not_ready: Iterable[tuple[str, str | None]] = (),
) -> Object:
    """Make a subset of Endpoints, of hosts and their nodes."""

    def addresses(pairs: Iterable[tuple[str, str | None]]) -> list[Object]:
        return [{"ip": ip, **({"nodeName": node} if node else {})} for ip, node in pairs]

    return {
        "addresses": addresses(hosts),
        "notReadyAddresses": addresses(not_ready),
        "ports": ports,
    }


def endpoint_slice(
    service: str,
    hosts: Iterable[tuple[str, str | None]],
    ports: list[Object] | None,
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    *,
    name: str | None = None,
    family: str = "IPv4",
    ready: bool | None = True,
) -> Object:
    """Make an EndpointSlice of *service*, all its hosts ready or not."""
    return {
        "kind": "EndpointSlice",
        "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": name or f"{service}-1",
            "namespace": namespace,
            "labels": {**(labels or {}), SERVICE_NAME: service},
        },
        "addressType": family,
        "endpoints": [
            {
                "addresses": [ip],
                "conditions": {"ready": ready},
                **({"nodeName": node} if node else {}),
            }
            for ip, node in hosts
        ],
        "ports": ports,
    }


def service(
    name: str,
    ports: list[Object],
    namespace: str = "default",
    ingress: list[Object] | None = None,
    labels: dict[str, str] | None = None,
) -> Object:
    """Make a Service, of type LoadBalancer if it has an *ingress*."""
    balancer = {"loadBalancer": {"ingress": ingress} if ingress else {}}
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {}},
        "spec": {"ports": ports, "type": "LoadBalancer" if ingress else "ClusterIP"},
        "status": balancer,
    }


def ingress(
    name: str, spec: Object, namespace: str = "default", annotated_class: str | None = None
) -> Object:
    """Make an Ingress."""
    annotations = {"kubernetes.io/ingress.class": annotated_class} if annotated_class else {}
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {
        "kind": "Ingress",
        "apiVersion": "networking.k8s.io/v1",
        "metadata": metadata,
        "spec": spec,
    }


def wait_until(condition: Callable[[], object], timeout_s: float = WAIT_S) -> None:
    """Let others run until *condition* holds; fail after *timeout_s*.

    The longer it takes, the more seldom it is looked at: a look may cost a whole request.
    """
    pause_s = 0.001
    with gevent.Timeout(timeout_s, AssertionError(f"not so within {timeout_s} s")):
        while not condition():
            gevent.sleep(pause_s)
            pause_s = min(1.5 * pause_s, MAX_PAUSE_S)


def _head(reader: Any) -> Iterator[str]:
    while (line := reader.readline()) not in (b"\r\n", b""):
        yield line.decode("latin-1").rstrip("\r\n")


def _reply(sock: socket.socket, status: int, obj: Object) -> None:
    _send(sock, status, json.dumps(obj, separators=(",", ":")).encode() + b"\n")


def _send(sock: socket.socket, status: int, body: bytes | None) -> None:
    framing = "Transfer-Encoding: chunked" if body is None else f"Content-Length: {len(body)}"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{framing}\r\n\r\n"
    sock.sendall(head.encode() + (body or b""))


def _line(type_: str, obj: Object) -> bytes:
    return json.dumps({"type": type_, "object": obj}, separators=(",", ":")).encode() + b"\n"


def _status(code: int, reason: str, message: str) -> Object:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def _resources(version: str) -> Object:
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": [
            {
                "name": plural,
                "singularName": "",
                "namespaced": plural != "namespaces",
                "kind": kind,
                "verbs": _VERBS,
                "shortNames": short,
            }
            for plural, (kind, of, _, short) in KINDS.items()
            if of == version
        ],
    }


def _matches_fields(selector: str, metadata: Object) -> bool:
    for term in filter(None, selector.split(",")):
        field_, _, wanted = term.partition("=")
        if str(metadata.get(field_.removeprefix("metadata."))) != wanted.removeprefix("="):
            return False
    return True


def _matches_labels(selector: str, labels: dict[str, str]) -> bool:
    for term in filter(None, selector.split(",")):
        key, equals, wanted = term.partition("=")
        negated = key.endswith("!")
        key = key.rstrip("!")
        holds = labels.get(key) == wanted.removeprefix("=") if equals else key in labels
        if holds is negated:
            return False
    return True
