"""An endpoint of HTTP/2 that answers every token with the body that belongs to it, and errs."""

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent
from h2.errors import ErrorCodes
from h2.events import Event, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from .faulty import SLOW_S, STALL_S, reply_body, request_body
from .h2_endpoint import H2Endpoint, Peer

_MOST_STREAMS = 20
_DEAD_S = 0.3


@dataclass
class FaultyH2Server:
    """Serves until closed; of each request a share of *fault_rate* meets a fault."""

    dice: random.Random
    fault_rate: float
    faults: Counter[str] = field(default_factory=Counter)
    """How often each was played."""
    breaches: list[str] = field(default_factory=list)
    """What came and should not have."""
    posted: Counter[str] = field(default_factory=Counter)
    """How often each POST was seen whole and not refused."""

    def __post_init__(self) -> None:
        self._endpoint = self._listen(0)
        self.port = self._endpoint.port

    def close(self) -> None:
        """Close all connections and listen no more."""
        self._endpoint.close()

    def die(self) -> None:
        """End as a process that is killed does, and come back after a while."""
        self.faults["death"] += 1
        self.close()
        gevent.sleep(_DEAD_S)
        self._endpoint = self._listen(self.port)

    def _listen(self, port: int) -> H2Endpoint:
        settings = {SettingCodes.MAX_CONCURRENT_STREAMS: _MOST_STREAMS}
        return H2Endpoint(self._take, settings, port=port)

    def _take(self, peer: Peer, event: Event) -> None:
        if isinstance(event, StreamEnded) and event.stream_id <= peer.last_stream_id:
            gevent.spawn(self._answer, peer, event.stream_id)

    def _answer(self, peer: Peer, stream_id: int) -> None:
        head, body = peer.heads.pop(stream_id), peer.bodies.pop(stream_id, b"")
        token = head[":path"].removeprefix("/")
        expected = request_body(token) if head[":method"] == "POST" else b""
        if head.get("x-token") != token or body != expected or head[":authority"] != "web":
            self.breaches.append(f"not what was sent: {head} {body[:100]!r}")
        is_faulty = self.dice.random() < self.fault_rate
        name = self.dice.choice(list(FAULTS)) if is_faulty else ""
        if name in NEED_BODY and (head[":method"] == "HEAD" or not reply_body(token)):
            name = "reset"  # to a client of HTTP/1.1 the head alone would be the whole response
        self.faults[name] += is_faulty
        self.posted[token] += head[":method"] == "POST" and name not in REFUSALS
        answer = _Answer(self.dice, peer, stream_id, token, is_head=head[":method"] == "HEAD")
        with contextlib.suppress(OSError, ProtocolError):  # the proxy may give up at any time
            FAULTS.get(name, _Answer.whole)(answer)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one request is to get."""

    dice: random.Random
    peer: Peer
    stream_id: int
    token: str
    is_head: bool

    def whole(self, status: int = 200) -> None:
        """Send it as it should be: with a length or without, with trailers or without."""
        body = b"" if self.is_head else reply_body(self.token)
        self.head(status)
        has_trailers = not self.is_head and self.dice.random() < 0.3
        self.peer.send(self.stream_id, body, ends=not has_trailers)
        if has_trailers:
            self.peer.h2.send_headers(self.stream_id, (("x-end", self.token),), end_stream=True)
            self.peer.flush()

    def head(self, status: int = 200) -> None:
        """Send the head."""
        length = len(reply_body(self.token))
        fields = [("x-token", self.token)]
        if self.dice.random() < 0.5:
            fields.append(("content-length", str(length)))
        self.peer.head(self.stream_id, status, *fields)

    def part(self) -> None:
        """Send the head and less than the body."""
        self.head()
        body = reply_body(self.token)
        self.peer.send(self.stream_id, body[: self.dice.randrange(len(body))])

    def reset(self) -> None:
        """Reset the stream."""
        self.peer.reset(
            self.stream_id, self.dice.choice([ErrorCodes.CANCEL, ErrorCodes.INTERNAL_ERROR])
        )

    def refuse(self) -> None:
        """Say that the request has not been looked at."""
        self.peer.reset(self.stream_id, ErrorCodes.REFUSED_STREAM)

    def cut(self) -> None:
        """Reset the stream within the body."""
        self.part()
        self.reset()

    def lose(self) -> None:
        """Close the connection within the body, and with it all other streams."""
        self.part()
        self.peer.close()

    def go_away(self) -> None:
        """Take no further stream, and serve those that have come."""
        self.peer.go_away(self.peer.h2.highest_inbound_stream_id)
        self.whole()

    def stall(self) -> None:
        """Stop within the body until the proxy has given up."""
        self.part()
        gevent.sleep(STALL_S)

    def slow(self) -> None:
        """Take some time."""
        self.head()
        gevent.sleep(SLOW_S)
        self.peer.send(self.stream_id, b"" if self.is_head else reply_body(self.token), ends=True)

    def fail(self) -> None:
        """Answer 503."""
        self.whole(503)

    def interim(self) -> None:
        """Send an informational response before."""
        fields = ((":status", "103"), ("x-token", "early"))
        self.peer.h2.send_headers(self.stream_id, fields)
        self.whole()

    def garbage(self) -> None:
        """Send what is no frame."""
        self.peer.say(self.dice.randbytes(200))


FAULTS: dict[str, Callable[[_Answer], None]] = {
    "reset": _Answer.reset,
    "refused": _Answer.refuse,
    "cut": _Answer.cut,
    "connection lost": _Answer.lose,
    "goaway": _Answer.go_away,
    "stall": _Answer.stall,
    "slow": _Answer.slow,
    "error": _Answer.fail,
    "interim": _Answer.interim,
    "garbage": _Answer.garbage,
}
REFUSALS = {"refused"}
NEED_BODY = {"cut", "connection lost", "stall", "slow"}
