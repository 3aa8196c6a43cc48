"""What is asked of the mesh; `interpreters/test_mesh.py` asks a real server."""

from contextlib import closing

import pytest
from h2.events import StreamEnded

from meshproxy.discovery.grpc.channel import Calls, GrpcChannel
from meshproxy.discovery.mesh.questions import Mesh
from meshproxy.discovery.watching.api import Bounds
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.h2.settings import KeepAlive, LocalSettings
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import ADDR_NEG, AddrBound, Address
from meshproxy.naming.bound import Bound
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import NEG
from meshproxy.naming.path import Path
from meshproxy.runtime.origins import http2_to
from meshproxy.var import Ok, Var
from tests.kit.h2_endpoint import H2Endpoint, Peer
from tests.kit.mesh_messages import leaf, path, read, write

WEB = Path.parse("/svc/web")
DTAB = Dtab.parse("/svc => /#/x")
NEGATIVE = {
    "BoundTree": write("BoundTreeRsp", {"tree": {"neg": {}}}),
    "Replicas": write("Replicas", {"neg": {}}),
    "DelegateTree": write("DelegateTreeRsp", {"tree": {"neg": {}}}),
}


def script(peer: Peer, event: object) -> None:
    if isinstance(event, StreamEnded):
        called = peer.heads[event.stream_id][":path"]
        message = next(wire for name, wire in NEGATIVE.items() if called.endswith(name))
        if b"empty" in peer.bodies[event.stream_id]:
            message = b""
        peer.head(event.stream_id, 200, ("content-type", "application/grpc"))
        peer.send(event.stream_id, b"\0" + len(message).to_bytes(4) + message)
        peer.h2.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
        peer.flush()


def test_each_question_is_a_method_with_its_message() -> None:
    with H2Endpoint(script) as server:
        where = Var(AddrBound(frozenset({Address("127.0.0.1", server.port)})))
        dial = http2_to(Tree(), None, LocalSettings(), KeepAlive())
        channel = GrpcChannel(where, "namerd", dial, Bounds(pace_s=0.0))
        mesh = Mesh(channel, Path.of("mine"))
        with closing(Calls(channel, lambda: None)) as calls:
            assert list(mesh.bind(calls, DTAB, WEB)) == [NEG]
            assert list(mesh.replicas(calls, WEB)) == [ADDR_NEG]
            with closing(mesh.delegation(calls, DTAB, WEB, never)) as steps:
                assert next(steps).state == Ok(NEG)
            with pytest.raises(Malformed, match="without a tree"):
                list(mesh.bind(calls, DTAB, Path.of("empty")))
        (peer,) = server.peers
        methods = [head[":path"].removeprefix("/io.linkerd.mesh.") for head in peer.heads.values()]
        assert methods[:3] == [
            "Interpreter/StreamBoundTree", "Resolver/StreamReplicas", "Delegator/GetDelegateTree",
        ]  # fmt: skip
        bind = read("BindReq", peer.bodies[1][5:])
        assert (bind["root"], bind["name"]) == (path("/mine"), path("/svc/web"))
        steps_asked = read("DelegateTreeReq", peer.bodies[5][5:])
        assert steps_asked["tree"] == {"leaf": {"id": path("/svc/web")}}
        assert steps_asked["dtab"]["dentries"][0]["dst"] == {"leaf": {"id": path("/#/x")}}


def never(_: object) -> Bound:
    raise AssertionError(leaf("/there/is/none"))
