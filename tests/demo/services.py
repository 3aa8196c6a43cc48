"""The two services of the article: hello, which asks world, and world; and one that fails."""

from itertools import count

from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.wire import get


def world(host: str, greeting: str = "World") -> Downstream:
    """Serve `World (ADDRESS)!!` at a free port of *host*."""
    return Downstream(lambda _: Answer(body=f"{greeting} ({host})!!\n".encode()), host)


def hello(host: str, proxy_port: int) -> Downstream:
    """Serve `Hello (ADDRESS) ` and what world says, asked for through the proxy.

    The context headers of the request go on with it, as a service in a mesh should let them.
    """

    def answer(request: Received) -> Answer:
        context = [
            f"{name.decode()}: {value.decode('latin-1')}"
            for name, value in request.raw
            if name.lower().startswith(b"l5d-ctx-")
        ]
        reply = get(proxy_port, "world", "/", *context)
        return Answer(reply.status, f"Hello ({host}) ".encode() + reply.body)

    return Downstream(answer, host)


def flaky(host: str) -> Downstream:
    """Serve 503 to each fifth request and close the connection; `fine` to the others."""
    number = count(1)

    def answer(_: Received) -> Answer:
        if next(number) % 5:
            return Answer(body=b"fine\n")
        return Answer(503, headers=(("Connection", "close"),))

    return Downstream(answer, host)
