"""A client's connection: how it ends, who has a turn, and what a hostile client gets."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
import pytest
from gevent.select import select
from h2.events import ResponseReceived
from hpack.hpack import encode_integer

from meshproxy.h2 import frames
from meshproxy.h2.errors import ErrorCode
from meshproxy.http.headers import Headers
from meshproxy.http.limits import Limits
from meshproxy.http.message import Request, Response, text_response
from meshproxy.net.h2.memory import BodyMemory, memory
from meshproxy.server.h2 import session
from meshproxy.server.h2.session import ServerSession
from tests.kit import hostile
from tests.kit.h2 import GET as BLOCK
from tests.kit.h2 import SETTINGS, headers, parsed
from tests.kit.h2_serving import H2Serving, serving_h2
from tests.kit.h2_wire import GET, H2Wire, raw_frames, until
from tests.kit.wire import WAIT_S

from .test_call import Waits

HELLO = frames.PREFACE + SETTINGS + frames.SETTINGS_ACK
NOW = (*GET[:3], (":path", "/now"))


def last_words(sock: Any) -> list[Any]:
    """Return the frames up to the end of a connection."""
    return parsed(raw_frames(sock))


def goodbyes(said: list[Any]) -> list[tuple[int, int]]:
    """Return last stream and code of each GOAWAY."""
    found = named(said, "GoAwayFrame")
    return [(one.last_stream_id, one.error_code) for one in found]


def named(said: list[Any], kind: str) -> list[Any]:
    """Return the frames of one kind."""
    return [one for one in said if type(one).__name__ == kind]


# Ends.


def test_an_idle_connection_is_closed() -> None:
    with serving_h2(limits=Limits(idle_seconds=0.05)) as server, server.connect() as sock:
        sock.sendall(HELLO + headers(1))
        assert goodbyes(last_words(sock)) == [(1, ErrorCode.NO_ERROR)]
        sock.close()
        until(lambda: server.count("idle") == 1)


def test_a_connection_in_use_is_not_idle() -> None:
    service = Waits()
    with serving_h2(service, Limits(idle_seconds=0.05)) as server, server.client() as wire:
        stream = wire.ask()
        until(lambda: service.is_waiting)
        session = server.session
        session.check(session.idle_since + 1)
        assert not session.is_ending
        service.may_go_on.set()
        assert wire.body(stream) == b"at last"


def test_a_connection_that_is_old_ends_gracefully() -> None:
    with serving_h2(limits=Limits(life_seconds=0.05)) as server, server.connect() as sock:
        sock.sendall(HELLO)
        said = []
        while not goodbyes(said):
            said += parsed(sock.recv(1000))
        assert goodbyes(said) == [(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR)]
        sock.sendall(headers(1))
        (ping,) = named(said, "PingFrame")
        sock.sendall(frames.ping(ping.opaque_data, is_answer=True))
        assert goodbyes(last_words(sock)) == [(1, ErrorCode.NO_ERROR)]
        sock.close()
        until(lambda: server.count("lifetime") == 1)


def test_draining_serves_what_was_on_its_way() -> None:
    service = Waits()
    with serving_h2(service) as server, server.connect() as sock:
        sock.sendall(HELLO + headers(1))
        until(lambda: service.is_waiting)
        closing = gevent.spawn(server.listener.close, 10.0)
        said = []
        while not goodbyes(said):
            said += parsed(sock.recv(1000))
        assert goodbyes(said) == [(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR)]
        sock.sendall(headers(3))
        until(lambda: server.count("open_streams") == 2)
        service.may_go_on.set()
        said = last_words(sock)
        assert {one.stream_id for one in said if one.body_len} >= {1, 3}
        assert goodbyes(said) == [(3, ErrorCode.NO_ERROR)]
        sock.close()
        assert closing.get(timeout=WAIT_S) is True


def test_requests_after_the_last_word_are_not_served() -> None:
    service = Waits()
    with serving_h2(service) as server, server.connect() as sock:
        sock.sendall(HELLO + headers(1))
        until(lambda: service.is_waiting)
        server.session.go_away()
        until(lambda: not server.session.is_queued)
        sock.sendall(headers(3))
        sock.sendall(frames.ping(b"12345678", is_answer=False))
        said = []
        while not named(said, "PingFrame"):
            said += parsed(sock.recv(1000))
        assert server.count("open_streams") == 1
        service.may_go_on.set()
        assert not [one for one in last_words(sock) if one.stream_id == 3]


def test_what_is_cut_at_the_end_of_the_grace() -> None:
    service = Waits()
    with serving_h2(service) as server, server.client() as wire:
        wire.ask()
        until(lambda: service.is_waiting)
        assert server.listener.close(0.05) is False
        until(lambda: service.ends)


def test_only_an_idle_connection_makes_room() -> None:
    service = Waits()
    ended: list[bool] = []

    def end(server: H2Serving) -> None:
        gevent.get_hub().loop.run_callback(lambda: ended.append(server.session.end_idle()))
        count = len(ended)
        until(lambda: len(ended) > count)

    with serving_h2(service) as server, server.client() as wire:
        stream = wire.ask()
        until(lambda: service.is_waiting)
        end(server)
        service.may_go_on.set()
        wire.body(stream)
        end(server)
        assert ended == [False, True]
        assert raw_frames(wire.sock)


def test_http_1_is_told_what_is_spoken_here() -> None:
    with serving_h2() as server, server.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: web\r\n\r\n")
        answer = raw_frames(sock)
        assert answer.startswith(b"HTTP/1.1 505 ")
        assert b"HTTP/2" in answer.partition(b"\r\n\r\n")[2]


# Turns.


def test_many_requests_in_one_read_leave_others_their_turn() -> None:
    order: list[bytes] = []
    others: list[H2Wire] = []

    def service(request: Request) -> Response:
        order.append(request.target)
        if len(order) == 1 and others:
            others[0].ask(NOW)
        return text_response(200, "ok")

    with serving_h2(service) as server, server.client() as other, server.connect() as sock:
        other.body(other.ask())
        sock.sendall(HELLO)
        until(lambda: len(server.sessions) == 2)
        order.clear()
        others.append(other)
        sock.sendall(b"".join(headers(number) for number in range(1, 1000, 2)))
        until(lambda: len(order) == 501)
        assert order.index(b"/now") <= 200


def test_what_comes_meanwhile_does_not_hasten_a_turn() -> None:
    order: list[bytes] = []
    begun: list[int] = []

    def service(request: Request) -> Response:
        order.append(request.target)
        return text_response(200, "ok")

    def read_twice(session: ServerSession) -> None:
        session._feed(b"".join(headers(number) for number in range(1, 301, 2)))
        session._feed(headers(301))
        begun.append(len(order))

    with serving_h2(service) as server, server.connect() as sock:
        sock.sendall(HELLO)
        until(lambda: server.sessions and not server.session.engine.reader.preface)
        gevent.get_hub().loop.run_callback(read_twice, server.session)
        until(lambda: len(order) == 151)
        assert begun == [100]


def test_a_client_that_does_not_read_is_served_no_more() -> None:
    served: list[bytes] = []
    big = bytes(1 << 20)

    def service(request: Request) -> Response:
        served.append(request.target)
        return Response(200, b"", Headers(), big)

    with serving_h2(service) as server, server.client(window=(1 << 31) - 1) as wire:
        asked = 0
        while not (asked and server.session._arrivals and is_full(server.session)):
            wire.ask()
            asked += 1
            gevent.sleep(0.001)
            assert asked < 100
        count = len(served)
        assert count < asked
        assert len(wire.body(1)) == len(big)
        until(lambda: len(served) > count)


def is_full(session: ServerSession) -> bool:
    """Tell whether the kernel takes no more of a session's bytes."""
    return session.is_blocked and not select([], [session.stream.sock], [], 0)[1]


# Hostile clients: each gets a GOAWAY, and little of our time.


ATTACKS: list[tuple[Callable[[], bytes], ErrorCode]] = [
    (hostile.rapid_reset, ErrorCode.ENHANCE_YOUR_CALM),
    (hostile.made_resets, ErrorCode.ENHANCE_YOUR_CALM),
    (lambda: hostile.continuations(b"\0\1a\1b" * 100), ErrorCode.ENHANCE_YOUR_CALM),
    (lambda: hostile.continuations(b""), ErrorCode.ENHANCE_YOUR_CALM),
    (hostile.hpack_bomb, ErrorCode.ENHANCE_YOUR_CALM),
    (lambda: SETTINGS * 50_000, ErrorCode.ENHANCE_YOUR_CALM),
    (lambda: frames.ping(b"12345678", is_answer=False) * 200_000, ErrorCode.ENHANCE_YOUR_CALM),
    (hostile.empty_data, ErrorCode.ENHANCE_YOUR_CALM),
    (hostile.priorities, ErrorCode.ENHANCE_YOUR_CALM),
    (hostile.window_updates, ErrorCode.ENHANCE_YOUR_CALM),
    *(
        (partial(hostile.spread, made), ErrorCode.ENHANCE_YOUR_CALM)
        for made in hostile.CHEAP.values()
    ),
    (lambda: frames.head(1 << 20, frames.DATA, 0, 1), ErrorCode.FRAME_SIZE_ERROR),
    (lambda: headers(2), ErrorCode.PROTOCOL_ERROR),
]  # fmt: skip
IDS = (
    "rapid reset", "resets that we made", "continuation", "empty continuation", "hpack bomb",
    "settings", "ping", "empty data", "priority", "window update",
    *(f"{name} of many" for name in hostile.CHEAP), "frame size", "even stream",
)  # fmt: skip


@pytest.mark.parametrize(("attack", "code"), ATTACKS, ids=IDS)
def test_a_hostile_client_is_told_to_go(attack: Callable[[], bytes], code: ErrorCode) -> None:
    served: list[Request] = []

    def service(request: Request) -> Response:
        served.append(request)
        if request.body is not None:
            gevent.sleep(0.2)
        return text_response(200, "ok")

    with serving_h2(service) as server, server.connect() as sock:
        sending = gevent.spawn(send_all, sock, HELLO + attack())
        assert goodbyes(last_words(sock))[-1][1] == code
        sending.join(timeout=WAIT_S)
        assert server.count("goaways", code.name.lower()) == 1
        until(lambda: server.count("open_streams") == 0)
        assert len(served) < 1000


def send_all(sock: Any, everything: bytes) -> None:
    """Send until the far end takes no more."""
    try:
        sock.sendall(everything)
    except OSError:
        return


def test_more_streams_than_allowed_are_refused() -> None:
    service = Waits()
    with (
        serving_h2(service, max_concurrent_streams=2) as server,
        server.connect() as sock,
    ):
        sock.sendall(HELLO + headers(1) + headers(3) + headers(5))
        said = []
        while not named(said, "RstStreamFrame"):
            said += parsed(sock.recv(1000))
        (refused,) = named(said, "RstStreamFrame")
        assert (refused.stream_id, refused.error_code) == (5, ErrorCode.REFUSED_STREAM)
        sock.sendall(frames.rst_stream(1, ErrorCode.CANCEL))
        until(lambda: server.count("open_streams") == 1)
        sock.sendall(headers(7))
        until(lambda: server.count("open_streams") == 2)


def large(stream_id: int) -> bytes:
    """Return a request with a head of 7 KB."""
    value = b"v" * 7000
    return headers(stream_id, BLOCK + b"\0\1x\x7f" + bytes(encode_integer(7000, 7))[1:] + value)


def test_many_large_heads_are_refused_and_counted() -> None:
    service = Waits()
    with serving_h2(service) as server, server.connect() as sock:
        sending = gevent.spawn(send_all, sock, HELLO + b"".join(map(large, range(1, 1400, 2))))
        until(lambda: server.count("stream", "refused") > 50)
        waiting = server.count("open_streams")
        assert 512 * 8192 / 7300 < waiting < 512 * 8192 / 7000
        assert memory.total < 512 * 8192
        sending.join(timeout=WAIT_S)
        service.may_go_on.set()
        until(lambda: server.count("open_streams") == 0)
        assert memory.total == 0


def test_large_heads_of_a_whole_process_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    scarce = BodyMemory(100_000)
    monkeypatch.setattr(session, "memory", scarce)
    service = Waits()
    with serving_h2(service) as server, server.connect() as greedy, server.client() as modest:
        modest.ask(NOW)
        greedy.sendall(HELLO + headers(1) + b"".join(map(large, range(3, 41, 2))))
        until(lambda: server.count("stream", "local", "reset") == 19)
        until(lambda: server.count("open_streams") == 1)
        assert modest.body(1) == b"now"
        assert scarce.total == 0


def test_a_connection_that_ends_gives_its_heads_back() -> None:
    with serving_h2(Waits()) as server, server.connect() as sock:
        sock.sendall(HELLO + large(1))
        until(lambda: memory.total > 7000)
        sock.close()
        until(lambda: server.count("open_streams") == 0)
        assert memory.total == 0


def test_a_reset_stream_counts_until_its_service_has_ended() -> None:
    released: list[bool] = []
    go_on = gevent.event.Event()

    def stubborn(request: Request) -> Response:
        if request.target == b"/now":
            return text_response(200, "now")
        while not released:
            try:
                go_on.wait()
            except Exception:  # noqa: BLE001, S112 - it does not give in
                continue
        return text_response(200, "late")

    with serving_h2(stubborn, max_concurrent_streams=1) as server, server.connect() as sock:
        sock.sendall(HELLO + headers(1))
        until(lambda: server.count("open_streams") == 1)
        sock.sendall(frames.rst_stream(1, ErrorCode.CANCEL) + headers(3))
        said = []
        while not named(said, "RstStreamFrame"):
            said += parsed(sock.recv(1000))
        released.append(True)
        go_on.set()
        until(lambda: server.count("open_streams") == 0)


def test_a_client_is_served_after_all_that() -> None:
    with serving_h2() as server, server.client() as wire:
        assert wire.until(ResponseReceived, wire.ask()).stream_id == 1
