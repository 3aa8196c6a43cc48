"""Questions over real sockets, to servers that behave and that do not."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import gevent
import pytest

from meshproxy.discovery.watching.api import Api
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, AddrFailed
from meshproxy.var import Var
from tests.kit.http_api import Fault, Said
from tests.kit.k8s import wait_until
from tests.kit.wire import WAIT_S

from .conftest import QUICK, Scripted, api_at, at


@contextmanager
def line_to(api: Api) -> Iterator[Line]:
    with closing(Line(api, lambda: None)) as line:
        yield line


def test_an_answer_comes_whole_with_what_every_question_has(server: Scripted) -> None:
    server.script = lambda _: Said(201, b"page", (("X-Index", "7"),))
    with line_to(api_at(server.port, headers={"X-Token": "secret"})) as line:
        reply = line.ask("/v1/x?y=z", method="POST", body=b"{}", headers={"X-More": "1"})
        assert line.request == "POST /v1/x?y=z"
        assert 0 < line.requested_at <= line.responded_at
    assert (reply.status, reply.body, reply.headers.get("x-index")) == (201, b"page", "7")
    (asked,) = server.asked
    assert (asked.method, asked.target, asked.body) == ("POST", "/v1/x?y=z", b"{}")
    names = ("Host", "X-Token", "X-More", "User-Agent")
    assert [asked.get(name) for name in names] == ["api.test:80", "secret", "1", "meshproxy"]


def test_one_connection_serves_one_question_after_the_other(server: Scripted) -> None:
    with line_to(api_at(server.port)) as line:
        assert [line.ask(f"/{n}").body for n in range(3)] == [b"/0", b"/1", b"/2"]
        assert server.connections == 1
        server.cut()
        wait_until(lambda: not server.connections)
        assert line.ask("/3").body == b"/3"
    wait_until(lambda: not server.connections)


@pytest.mark.parametrize(
    ("fault", "reason", "status"),
    [
        (401, Reason.STATUS, 401),
        (403, Reason.STATUS, 403),
        (404, Reason.STATUS, 404),
        (500, Reason.STATUS, 500),
        (302, Reason.STATUS, 302),
        ("stall", Reason.STALLED, None),
        ("reset", Reason.BROKEN, None),
        ("not http", Reason.BROKEN, None),
        ("cut", Reason.BROKEN, None),
        ("dribble", Reason.STALLED, None),
        ("endless", Reason.TOO_LARGE, None),
        ("huge", Reason.TOO_LARGE, None),
    ],
)
def test_what_is_no_answer_is_a_failure_and_leaves_the_line_in_order(
    server: Scripted, fault: Fault, reason: Reason, status: int | None
) -> None:
    server.faults["bad"] = fault
    with line_to(api_at(server.port)) as line:
        line.ask("/good")
        with pytest.raises(ApiFailure) as raised:
            line.ask("/bad")
        assert (raised.value.reason, raised.value.status) == (reason, status)
        assert line.ask("/good").body == b"/good"


def test_a_status_may_be_an_answer_and_a_failure_quotes_the_body(server: Scripted) -> None:
    server.faults["bad"] = 404
    with line_to(api_at(server.port)) as line:
        assert line.ask("/bad", also=(404,)).status == 404
        with pytest.raises(ApiFailure, match=r"status 404: .*by the test"):
            line.ask("/bad")


def test_a_held_question_may_take_longer(server: Scripted) -> None:
    api = api_at(server.port, replace(QUICK, head_s=0.01))

    def hold(_: object) -> Said:
        server.wait(lambda: bool(news), 10)
        return Said(body=b"news")

    news: list[int] = []
    server.script = hold
    with line_to(api) as line:
        with pytest.raises(ApiFailure) as raised:
            line.ask("/held")
        assert raised.value.reason is Reason.STALLED
        asking = gevent.spawn(line.ask, "/held", held_s=10.0)
        wait_until(lambda: len(server.asked) == 2)
        news.append(1)
        server.tell()
        assert asking.get(timeout=WAIT_S).body == b"news"


@pytest.mark.parametrize(
    ("addr", "says"),
    [
        (ADDR_NEG, "api.test:80 has no address"),
        (at(), "api.test:80 has no address"),
        (AddrFailed("no such host"), "no such host"),
        (ADDR_PENDING, "api.test:80 is not resolved yet"),
        (at(1), "no connection to 127.0.0.1:1"),
    ],
)
def test_an_api_that_is_nowhere_cannot_be_asked(addr: Addr, says: str) -> None:
    api = api_at(Var(addr), replace(QUICK, connect_s=0.05))
    with line_to(api) as line, pytest.raises(ApiFailure, match=says) as raised:
        line.ask("/")
    assert raised.value.reason is Reason.CONNECT


def test_of_several_addresses_one_that_connects_is_asked(server: Scripted) -> None:
    with line_to(api_at(Var(at(1, 2, server.port)))) as line:
        for _ in range(5):
            assert line.ask("/x").body == b"/x"
            server.cut()


def test_an_address_that_is_found_late_is_waited_for(server: Scripted) -> None:
    where: Var[Addr] = Var(ADDR_PENDING)
    with line_to(api_at(where)) as line:
        asking = gevent.spawn(line.ask, "/x")
        gevent.idle()
        where.set(at(server.port))
        assert asking.get(timeout=WAIT_S).body == b"/x"


def test_a_question_under_way_is_called_off_when_the_api_moves(server: Scripted) -> None:
    where = Var(at(server.port))
    moved: list[int] = []
    server.faults["held"] = "stall"
    with Scripted() as other, closing(Line(api_at(where), lambda: moved.append(1))) as line:
        asking = gevent.spawn(line.ask, "/held", held_s=10.0)
        wait_until(lambda: server.asked)
        where.set(at(server.port, other.port))
        where.set(ADDR_NEG)
        assert moved == []
        where.set(at(other.port))
        assert moved == [1]
        asking.kill()


def test_a_kept_connection_is_dropped_when_the_api_has_moved(server: Scripted) -> None:
    where = Var(at(server.port))
    with Scripted() as other, line_to(api_at(where)) as line:
        line.ask("/one")
        where.set(at(other.port))
        line.ask("/two")
        assert (server.targets(), other.targets()) == (["/one"], ["/two"])


def test_a_question_waits_for_the_pace(server: Scripted) -> None:
    with line_to(api_at(server.port, replace(QUICK, pace_s=60.0))) as line:
        line.ask("/one")
        asking = gevent.spawn(line.ask, "/two")
        gevent.idle()
        asking.kill()
        assert server.targets() == ["/one"]


def test_only_so_many_ask_at_a_time(server: Scripted) -> None:
    api = api_at(server.port, replace(QUICK, connect_s=60.0, head_s=60.0))
    server.faults["slow"] = "stall"
    lines = [Line(api, lambda: None) for _ in range(40)]
    asking = [gevent.spawn(line.ask, "/slow") for line in lines]
    wait_until(lambda: server.answering == 28)
    gevent.idle()
    assert server.answering == 28
    gevent.killall(asking)
    for line in lines:
        line.close()
    wait_until(lambda: not server.connections)


def test_a_stream_comes_line_by_line_however_it_is_cut(server: Scripted) -> None:
    server.script = lambda _: Said(body=iter([b"on", b"e\ntwo\n\nthr", b"ee"]))
    with line_to(api_at(server.port)) as line:
        assert list(line.lines("/watch")) == [b"one", b"two", b"three"]
        assert list(line.lines("/watch")) == [b"one", b"two", b"three"]


def test_a_stream_may_be_silent_between_lines_but_not_for_ever(server: Scripted) -> None:
    def parts() -> Iterator[bytes]:
        yield b"one\n"
        server.wait(lambda: False, 60)

    server.script = lambda _: Said(body=parts())
    with line_to(api_at(server.port, replace(QUICK, body_s=0.01, stream_s=0.3))) as line:
        assert list(line.lines("/watch")) == [b"one"]


def test_a_line_that_does_not_end_is_a_failure(server: Scripted) -> None:
    def parts() -> Iterator[bytes]:
        yield b"one\ntw"
        server.wait(lambda: False, 60)

    server.script = lambda _: Said(body=parts())
    with line_to(api_at(server.port)) as line:
        stream = line.lines("/watch")
        assert next(stream) == b"one"
        with pytest.raises(ApiFailure, match="a line does not end") as raised:
            next(stream)
    assert raised.value.reason is Reason.STALLED


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (500, Reason.STATUS),
        ("stall", Reason.STALLED),
        ("cut", Reason.BROKEN),
        ("endless", Reason.MALFORMED),
        ("huge", Reason.MALFORMED),
        ("dribble", Reason.STALLED),
    ],
)
def test_a_stream_that_goes_wrong_is_a_failure(
    server: Scripted, fault: Fault, reason: Reason
) -> None:
    server.faults["watch"] = fault
    with line_to(api_at(server.port)) as line:
        with pytest.raises(ApiFailure) as raised:
            list(line.lines("/watch"))
        assert raised.value.reason is reason
        assert line.ask("/good").body == b"/good"


def test_a_stream_that_nobody_reads_on_is_closed(server: Scripted) -> None:
    def parts() -> Iterator[bytes]:
        yield b"one\n"
        server.wait(lambda: False, 60)

    server.script = lambda _: Said(body=parts())
    with line_to(api_at(server.port)) as line:
        stream = line.lines("/watch")
        next(stream)
        stream.close()
        wait_until(lambda: not server.connections)


def test_all_answers_together_are_limited_until_their_lines_close(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshproxy.discovery.watching.line.MAX_ALL_BYTES", 250)
    server.script = lambda _: Said(200, b"x" * 100)
    api = api_at(server.port)
    with line_to(api) as first, line_to(api) as second:
        for _ in range(5):
            first.ask("/a")
            second.ask("/b")
        with line_to(api) as third:
            with pytest.raises(ApiFailure, match="together") as raised:
                third.ask("/c")
            assert raised.value.reason is Reason.TOO_LARGE
            assert api.held_bytes == 200
            first.close()
            assert third.ask("/c").body == b"x" * 100
    assert api.held_bytes == 0
