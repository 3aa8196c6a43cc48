"""A server and a client by grpcio, each in a process of its own: gevent and grpcio do not mix.

`python -m tests.kit.grpc_echo server` prints its port; `... client PORT` prints, as JSON, what each
kind of call came to.
"""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc

SERVICE = "/test.Echo/"
LARGE = bytes(range(256)) * 4096
"""A message of 1 MiB."""
MANY = 1000
_PIECE = bytes(999)
_OPTIONS = [("grpc.max_receive_message_length", 8 << 20)]
_WAIT_S = 20.0
cancelled = threading.Event()


def _same(message: bytes) -> bytes:
    return message


def _fail(message: bytes, context: Any) -> bytes:
    (code,) = (one for one in grpc.StatusCode if one.value[0] == int(message))
    context.abort(code, f"wanted {int(message)}: 100 % \u00e9")
    return b""


def _count(message: bytes, _: Any) -> Iterator[bytes]:
    yield from (b"%d" % number for number in range(int(message)))


def _until_cancelled(_: bytes, context: Any) -> bytes:
    ended = threading.Event()
    context.add_callback(ended.set)
    ended.wait(_WAIT_S)
    cancelled.set()
    return b""


def _metadata(_: bytes, context: Any) -> bytes:
    context.send_initial_metadata((("x-initial", "1"),))
    context.set_trailing_metadata((("x-trailing", "2"),))
    return json.dumps({key: str(value) for key, value in context.invocation_metadata()}).encode()


class _Echo(grpc.GenericRpcHandler):  # type: ignore[misc] # it has no types
    def service(self, details: Any) -> Any:
        unary = grpc.unary_unary_rpc_method_handler
        handlers: dict[str, Any] = {
            "Same": unary(lambda message, _: message),
            "Fail": unary(_fail),
            "Wait": unary(_until_cancelled),
            "Cancelled": unary(lambda *_: b"%d" % cancelled.wait(_WAIT_S)),
            "Metadata": unary(_metadata),
            "Count": grpc.unary_stream_rpc_method_handler(_count),
            "Sum": grpc.stream_unary_rpc_method_handler(
                lambda messages, _: b"%d" % sum(map(len, messages))
            ),
            "Reverse": grpc.stream_stream_rpc_method_handler(
                lambda messages, _: (message[::-1] for message in messages)
            ),
        }
        return handlers.get(details.method.removeprefix(SERVICE))


def serve() -> None:
    """Serve on a free port until the process is ended."""
    server = grpc.server(futures.ThreadPoolExecutor(32), options=_OPTIONS)
    server.add_generic_rpc_handlers((_Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def _error_of(call: Callable[[], object]) -> list[object]:
    try:
        call()
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return []


def ask(port: int) -> dict[str, object]:
    """Return what each kind of call comes to."""
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=_OPTIONS) as channel:

        def unary(name: str) -> Any:
            return channel.unary_unary(SERVICE + name)

        def call(name: str, message: bytes = b"", **more: Any) -> bytes:
            reply: bytes = unary(name)(message, timeout=_WAIT_S, **more)
            return reply

        reply, info = unary("Metadata").with_call(b"", timeout=_WAIT_S, metadata=(("x-own", "1"),))
        found: dict[str, object] = {
            "unary": call("Same", b"hello").decode(),
            "large": call("Same", LARGE) == LARGE,
            "metadata": json.loads(reply),
            "initial": dict(info.initial_metadata()),
            "trailing": dict(info.trailing_metadata()),
            "down": len(list(channel.unary_stream(SERVICE + "Count")(b"300", timeout=_WAIT_S))),
            "up": int(
                channel.stream_unary(SERVICE + "Sum")(iter([b"x" * 999] * 99), timeout=_WAIT_S)
            ),
            "both": [
                one.decode()
                for one in channel.stream_stream(SERVICE + "Reverse")(
                    iter([b"ab", b"cd"]), timeout=_WAIT_S
                )
            ],
            "failures": [_error_of(lambda code=code: call("Fail", code)) for code in (b"5", b"13")],
            "deadline": _error_of(lambda: unary("Wait")(b"", timeout=0.2))[0],
        }
        found["seen"] = call("Cancelled").decode()
        calls = [unary("Same").future(b"%d" % number, timeout=_WAIT_S) for number in range(MANY)]
        found["many"] = sum(one.result() == b"%d" % at for at, one in enumerate(calls))
        return found


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve()
    else:
        print(json.dumps(ask(int(sys.argv[2]))))
