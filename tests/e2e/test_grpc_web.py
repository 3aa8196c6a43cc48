"""gRPC-Web by Google's client, in Node, to a server by grpcio: both forms of it."""

import json
import os
from base64 import b64encode
from typing import Any

import pytest
from gevent import subprocess
from h2.events import DataReceived, ResponseReceived, StreamEnded, TrailersReceived

from tests.kit import npm
from tests.kit.h2_wire import H2Wire
from tests.kit.k8s import wait_until
from tests.kit.proxy import Proxy
from tests.kit.wire import dial

from .test_grpc import WAIT_S, server

CLIENT = """
const PORT = process.argv[1], FORMAT = process.argv[2];
global.XMLHttpRequest = require('xhr2');
const {GrpcWebClientBase, MethodDescriptor, MethodType} = require('grpc-web');
const client = new GrpcWebClientBase({format: FORMAT});
const bytes = (text) => new TextEncoder().encode(text);
const describe = (name, type) => new MethodDescriptor(
  '/test.Echo/' + name, type, Object, Object, bytes, (got) => Buffer.from(got).toString());
const url = (name) => `http://127.0.0.1:${PORT}/test.Echo/${name}`;
const unary = (name, sent) => new Promise((done) => {
  let trailing = null;
  client.rpcCall(url(name), sent, {'x-own': '1'}, describe(name, MethodType.UNARY), (error, got) =>
    done(error ? [error.code, error.message] : got)
  ).on('status', (status) => { trailing = status; });
});
const many = (name, sent) => new Promise((done) => {
  const got = [];
  let status = null;
  client.serverStreaming(url(name), sent, {}, describe(name, MethodType.SERVER_STREAMING))
    .on('data', (one) => got.push(one))
    .on('status', (found) => { status = found; })
    .on('error', (error) => done([error.code, error.message]))
    .on('end', () => done([got.length, got[got.length - 1], status.code]));
});
(async () => console.log(JSON.stringify({
  unary: await unary('Same', 'h\u00e9llo'),
  large: (await unary('Same', 'x'.repeat(500000))).length,
  failure: await unary('Fail', '5'),
  metadata: JSON.parse(await unary('Metadata', ''))['x-own'],
  down: await many('Count', '300'),
  unknown: (await unary('Nothing', ''))[0],
})))();
"""
CONFIG = """
admin: {{port: 0}}
routers:
- protocol: h2
  label: web
  identifier: {{kind: io.l5d.header.path, segments: 1}}
  dtab: /svc => /$/inet/127.0.0.1/{port}
  service: {{responseClassifier: {{kind: io.l5d.h2.grpc.neverRetryable}}}}
  servers: [{{port: 0, protocol: auto, grpcWeb: true}}]
"""


def asked(port: int, form: str) -> dict[str, Any]:
    found = npm.package("grpc-web")
    assert found is not None
    done = subprocess.run(
        ["node", "-e", CLIENT, str(port), form],
        env={**os.environ, "NODE_PATH": str(found.parent)},
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
    )
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


@pytest.mark.skipif(npm.package("grpc-web") is None, reason="needs npm's grpc-web and xhr2")
@pytest.mark.parametrize("form", ["text", "binary"])
def test_googles_client_comes_through(form: str) -> None:
    with server() as port, Proxy(CONFIG.format(port=port)) as proxy:
        assert asked(proxy.port("web"), form) == {
            "unary": "h\u00e9llo",
            "large": 500000,
            "failure": [5, "wanted 5: 100 % \u00e9"],
            "metadata": "1",
            "down": [300, "299", 0],
            "unknown": 12,
        }


def call(wire: H2Wire, path: str, kind: str, body: bytes) -> tuple[dict[str, str], bytes, Any]:
    """Return head and body of the answer to a call, and the trailers, which it should not have."""
    fields = (
        (":method", "POST"), (":scheme", "http"), (":authority", "web"), (":path", path),
        ("content-type", kind),
    )  # fmt: skip
    stream, found, head, trailers = wire.ask(fields, body), b"", {}, None
    for event in wire.events():
        if isinstance(event, ResponseReceived):
            head = {str(name): str(value) for name, value in event.headers or ()}
        elif isinstance(event, DataReceived):
            found += event.data
        elif isinstance(event, TrailersReceived):
            trailers = event.headers
        elif isinstance(event, StreamEnded):
            break
    assert event.stream_id == stream
    return head, found, trailers


def test_calls_over_http_2_and_what_is_counted() -> None:
    message = b"\0\0\0\0\x05hello"
    with (
        server() as port,
        Proxy(CONFIG.format(port=port)) as proxy,
        dial(("127.0.0.1", proxy.port("web"))) as sock,
    ):
        wire = H2Wire(sock)
        head, body, trailers = call(wire, "/test.Echo/Same", "application/grpc-web", message)
        assert (head["content-type"], trailers) == ("application/grpc-web", None)
        assert body.startswith(message + b"\x80")
        assert b"grpc-status: 0\r\n" in body
        text = "application/grpc-web-text"
        body = call(wire, "/test.Echo/Same", text, b64encode(message))[1]
        assert body.startswith(b64encode(message))
        failing = b"\0\0\0\0\x015"
        head = call(wire, "/test.Echo/Fail", "application/grpc-web", failing)[0]
        assert head["grpc-status"] == "5"
        scope = f"rt/web/client/$/inet/127.0.0.1/{port}/service/svc/test.Echo"
        wait_until(lambda: proxy.counts(scope, "requests", "failures") == [3, 1])


def test_an_error_of_our_own_is_a_status() -> None:
    with (
        Proxy(CONFIG.format(port=1)) as proxy,
        dial(("127.0.0.1", proxy.port("web"))) as sock,
    ):
        head, body, _ = call(H2Wire(sock), "/a/B", "application/grpc-web+proto", b"")
        assert head["content-type"] == "application/grpc-web+proto"
        assert (head[":status"], head["grpc-status"], body) == ("200", "14", b"")


def test_text_that_is_not_base64_is_refused() -> None:
    with (
        server() as port,
        Proxy(CONFIG.format(port=port)) as proxy,
        dial(("127.0.0.1", proxy.port("web"))) as sock,
    ):
        head, _, _ = call(H2Wire(sock), "/test.Echo/Same", "application/grpc-web-text", b"????")
        assert (head[":status"], head["grpc-status"]) == ("200", "13")
        assert "base64" in head["grpc-message"]
