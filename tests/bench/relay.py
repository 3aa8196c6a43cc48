"""The floor: bytes to and fro on meshproxy's own streams, and no HTTP. `relay.py PORT UPSTREAM`."""

from gevent import monkey

monkey.patch_all()

import math  # noqa: E402 (the patch comes first)
import sys  # noqa: E402

from gevent import socket  # noqa: E402
from gevent.server import StreamServer  # noqa: E402

from meshproxy.net.stream import Stream  # noqa: E402


def relay(client: socket.socket, _: object) -> None:
    """Pass on what comes, one answer for each request."""
    upstream = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    for sock in (client, upstream):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    near, far = Stream(client), Stream(upstream)
    try:
        while asked := near.receive(math.inf):
            far.send(asked, math.inf)
            near.send(far.receive(math.inf), math.inf)
    except ConnectionError:
        pass
    finally:
        near.close()
        far.close()


if __name__ == "__main__":
    StreamServer(("127.0.0.1", int(sys.argv[1])), relay, backlog=4096).serve_forever()
