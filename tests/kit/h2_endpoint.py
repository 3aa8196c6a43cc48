"""An endpoint of HTTP/2 by PyPI's `h2`, which does with each event what a test says."""

import ssl
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from gevent import socket
from gevent.lock import RLock
from gevent.server import StreamServer
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from .closing import Closing

Fields = tuple[tuple[str, str], ...]


class Peer:
    """One connection of the endpoint."""

    def __init__(self, sock: Any, settings: Mapping[SettingCodes, int]) -> None:
        self.sock = sock
        self._sending = RLock()
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings(dict(settings))
        self.heads: dict[int, dict[str, str]] = {}
        """The fields of each request."""
        self.bodies: dict[int, bytes] = defaultdict(bytes)
        self.trailers: dict[int, dict[str, str]] = {}
        self.resets: dict[int, int] = {}
        """The codes of streams that the client has reset."""
        self.grants = True
        """Let the client send more than the first window."""
        self.last_stream_id = (1 << 31) - 1
        """Of those that are served, as GOAWAY has it."""
        self.flush()

    def flush(self) -> None:
        """Send what `h2` has to say."""
        with self._sending:
            self.sock.sendall(self.h2.data_to_send())

    def head(
        self, stream_id: int, status: int = 200, *fields: tuple[str, str], ends: bool = False
    ) -> None:
        """Send the head of a response."""
        self.h2.send_headers(stream_id, ((":status", str(status)), *fields), end_stream=ends)
        self.flush()

    def send(self, stream_id: int, data: bytes = b"", *, ends: bool = False) -> None:
        """Send a piece of a body, however long, as the windows allow."""
        view = memoryview(data)
        while view:
            room = min(self.h2.local_flow_control_window(stream_id), 16384)
            if not room:
                gevent.sleep(0.001)
                continue
            self.h2.send_data(stream_id, view[:room].tobytes())
            self.flush()
            view = view[room:]
        if ends:
            self.h2.end_stream(stream_id)
            self.flush()

    def reply(
        self, stream_id: int, body: bytes = b"ok", status: int = 200, trailers: Fields = ()
    ) -> None:
        """Send a whole response, in one go if the windows allow it."""
        self.h2.send_headers(stream_id, ((":status", str(status)),))
        if len(body) <= min(self.h2.local_flow_control_window(stream_id), 16384):
            self.h2.send_data(stream_id, body, end_stream=not trailers)
        else:
            self.send(stream_id, body, ends=not trailers)
        if trailers:
            self.h2.send_headers(stream_id, trailers, end_stream=True)
        self.flush()

    def reset(self, stream_id: int, code: int) -> None:
        """Reset a stream."""
        self.h2.reset_stream(stream_id, code)
        self.flush()

    def go_away(self, last_stream_id: int, code: int = 0) -> None:
        """Say GOAWAY."""
        self.last_stream_id = last_stream_id
        frame = b"\0\0\x08\x07\0\0\0\0\0" + last_stream_id.to_bytes(4) + code.to_bytes(4)
        self.say(frame)

    def say(self, data: bytes) -> None:
        """Send *data*, whatever it is."""
        with self._sending:
            self.sock.sendall(data)

    def close(self) -> None:
        """Close the connection without a word."""
        self.sock.close()

    def take(self, event: Event) -> None:
        """Note what has happened."""
        stream_id = getattr(event, "stream_id", None)
        if isinstance(event, RequestReceived):
            self.heads[event.stream_id] = dict(event.headers)
        elif isinstance(event, DataReceived):
            self.bodies[event.stream_id] += event.data
            if self.grants:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.flush()
        elif isinstance(event, StreamReset) and stream_id is not None:
            self.resets[stream_id] = event.error_code
        elif type(event).__name__ == "TrailersReceived" and stream_id is not None:
            self.trailers[stream_id] = dict(event.headers)


Script = Callable[[Peer, Event], object]


def answer(peer: Peer, event: Event) -> None:
    """Answer each request once it is whole."""
    if isinstance(event, StreamEnded):
        peer.reply(event.stream_id)


class H2Endpoint(Closing):
    """Serves until closed; *script* is called with each event, in a greenlet by connection."""

    def __init__(
        self,
        script: Script = answer,
        settings: Mapping[SettingCodes, int] | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.peers: list[Peer] = []
        self.script = script
        self._settings = settings or {}
        more = {} if tls is None else {"ssl_context": tls}
        self._server = StreamServer(("127.0.0.1", port), self._serve, **more)
        self._server.start()
        self.port: int = self._server.server_port

    def close(self) -> None:
        """Close all connections and listen no more."""
        self._server.stop(timeout=0)
        for peer in self.peers:
            peer.close()

    def stop_listening(self) -> None:
        """Accept no further connection."""
        self._server.stop(timeout=0)

    def _serve(self, sock: Any, _address: object) -> None:
        peer = Peer(sock, self._settings)
        self.peers.append(peer)
        try:
            while data := sock.recv(65536):
                for event in peer.h2.receive_data(data):
                    peer.take(event)
                    self.script(peer, event)
                peer.flush()
        except (OSError, ssl.SSLError, ProtocolError, socket.error):
            return
        finally:
            sock.close()
