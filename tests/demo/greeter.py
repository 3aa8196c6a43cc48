"""The greeter of gRPC's tutorial by grpcio, in a process of its own: gevent and grpcio do not mix.

`python -m tests.demo.greeter server` prints its port; `... client PORT NAME` prints one line for
each kind of call.
"""

import sys
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc

SERVICE = "/helloworld.Greeter/"
_WAIT_S = 20.0
_STREAMED = 3
"""Messages in a stream."""


def _message(text: str) -> bytes:
    """Return HelloRequest or HelloReply as protobuf: field 1 is a string, here below 128 bytes."""
    encoded = text.encode()
    return bytes([0x0A, len(encoded)]) + encoded


def _text(message: bytes) -> str:
    return message[2:].decode()


def _hello(message: bytes, _: Any) -> bytes:
    return _message(f"Hello {_text(message)}")


def _hellos(message: bytes, _: Any) -> Iterator[bytes]:
    yield from (_message(f"Hello {_text(message)} {number}") for number in range(_STREAMED))


def _each_hello(messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
    yield from (_hello(message, context) for message in messages)


class _Greeter(grpc.GenericRpcHandler):  # type: ignore[misc] # it has no types
    def service(self, details: Any) -> Any:
        handlers = {
            "SayHello": grpc.unary_unary_rpc_method_handler(_hello),
            "SayHelloStreamReply": grpc.unary_stream_rpc_method_handler(_hellos),
            "SayHelloBidiStream": grpc.stream_stream_rpc_method_handler(_each_hello),
        }
        return handlers.get(details.method.removeprefix(SERVICE))


def serve() -> None:
    """Serve on a free port until the process is ended."""
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_Greeter(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    server.wait_for_termination()


def ask(port: int, name: str) -> None:
    """Print what each kind of call returns."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        one = channel.unary_unary(f"{SERVICE}SayHello")(_message(name), timeout=_WAIT_S)
        print(f"SayHello: {_text(one)}")
        down = channel.unary_stream(f"{SERVICE}SayHelloStreamReply")
        many = [_text(each) for each in down(_message(name), timeout=_WAIT_S)]
        print(f"SayHelloStreamReply: {', '.join(many)}")
        both = channel.stream_stream(f"{SERVICE}SayHelloBidiStream")
        names = (_message(f"{name}-{letter}") for letter in "abc")
        print(f"SayHelloBidiStream: {', '.join(_text(each) for each in both(names))}")
        try:
            channel.unary_unary("/helloworld.Absent/SayHello")(_message(name), timeout=_WAIT_S)
        except grpc.RpcError as error:
            print(f"a service that nobody has: {error.code().name}")


if __name__ == "__main__":
    if sys.argv[1] == "server":
        serve()
    else:
        ask(int(sys.argv[2]), sys.argv[3])
