"""With few descriptors and many who want one, the proxy says no at once, and never stops."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import gevent
import pytest
from gevent import socket

from tests.e2e.test_command import COMMAND, Serving
from tests.e2e.test_routing import config
from tests.e2e.test_workers import pids, with_workers
from tests.kit.daemons import Daemon
from tests.kit.downstream import Downstream, SlowDownstream
from tests.kit.faults import black_hole
from tests.kit.k8s import wait_until
from tests.kit.wire import Reply, WireClient, free_port, get

LIMITS = [256, 1024]
ENDLESS = "headerReadTimeoutMs: 0, "
"""For clients whose connections do not end by themselves in the time of a test."""
BEGUN = b"GET / HTTP/1.1\r\n"
"""From a client that is not to make room for others, as an idle one does after a while."""
PATIENT = "  client: {connectTimeoutMs: 600000, requestAttemptTimeoutMs: 600000}"
PAIR = """
admin: {{ip: 127.0.0.1, port: {admin}}}
routers:
- protocol: http
  label: outgoing
  dtab: /svc => /$/inet/127.0.0.1/{incoming}
  servers: [{{port: {outgoing}, ip: 127.0.0.1}}]
- protocol: http
  label: incoming
  dtab: /svc => /$/inet/127.0.0.1/{to}
  servers: [{{port: {incoming}, ip: 127.0.0.1}}]
"""


def limited(limits: str) -> list[str]:
    """Return the command as a shell with these *limits* (`ulimit`) runs it."""
    return ["sh", "-c", f'{limits} && exec "$@"', "sh", *COMMAND]


def serving(text: str, directory: Path, descriptors: int) -> Serving:
    """Start the proxy with so many *descriptors*, with servers that wait for heads without end."""
    text = text.replace("- {port: 0, ip", f"- {{port: 0, {ENDLESS}ip")
    text = text.replace("admin: {", "admin: {shutdownGraceMs: 100, ")
    return Serving(text, directory, limited(f"ulimit -n {descriptors}"))


@contextmanager
def pair(directory: Path, to: int | None = None) -> Iterator[dict[str, int]]:
    """Have a proxy with 256 descriptors whose router leads to its other one, and that to *to*.

    Without *to* it leads back to the first.
    """
    ports = {name: free_port() for name in ("admin", "outgoing", "incoming")}
    file = directory / "pair.yaml"
    file.write_text(PAIR.format(to=to or ports["outgoing"], **ports))
    with Daemon([*limited("ulimit -n 256"), str(file)], directory / "log") as daemon:
        daemon.wait_port(ports["incoming"])
        yield ports
        assert "Traceback" not in daemon.output()


def is_alive(admin_port: int) -> bool:
    """Whether the admin server answers those who have to know."""
    paths = ("/live", "/ready", "/admin/metrics.json", "/admin/ping")
    return {get(admin_port, "localhost", path).status for path in paths} == {200}


def ask(port: int, replies: list[Reply]) -> None:
    """Ask *port* for `web`, and note what comes."""
    replies.append(get(port, "web"))


def statuses(replies: list[Reply]) -> Counter[int]:
    """Return how often each status came; each error says that there are no descriptors."""
    assert {one.get("l5d-retryable") for one in replies if one.status == 503} <= {"true"}
    texts = {one.get("l5d-err") for one in replies if one.status == 503}
    assert texts <= {"the+proxy+is+out+of+file+descriptors"}
    return Counter(one.status for one in replies)


@pytest.mark.parametrize("descriptors", LIMITS)
def test_slow_clients_keep_neither_the_admin_server_nor_an_answer_from_others(
    tmp_path: Path, descriptors: int
) -> None:
    with Downstream(lambda _: b"x") as origin, ExitStack() as stack:
        proxy = serving(config(origin.port), tmp_path, descriptors)
        stack.enter_context(proxy.daemon)
        held = stack.enter_context(ExitStack())
        for _ in range(descriptors + 100):
            slow = held.enter_context(WireClient(proxy.port))
            slow.sock._sock.send(b"GET / HTTP/1.1\r\nHo")
        assert is_alive(proxy.admin_port)
        replies = [get(proxy.port, "web") for _ in range(20)]
        assert statuses(replies) == {503: 20}
        assert is_alive(proxy.admin_port)
        counted = proxy.metrics()
        server = "rt/http/server/127.0.0.1/0"
        assert counted[f"{server}/failures/no_descriptor"] >= 100
        assert counted[f"{server}/connections"] >= 0.6 * descriptors
        assert counted["process/fds"] < 0.95 * descriptors
        held.close()
        wait_until(lambda: get(proxy.port, "web").status == 200)
        log = proxy.daemon.output()
        assert log.count("refusing connections") == 1
        assert "Traceback" not in log


def test_connections_without_a_request_make_room(tmp_path: Path) -> None:
    with Downstream(lambda _: b"x") as origin, ExitStack() as stack:
        proxy = serving(config(origin.port), tmp_path, 256)
        stack.enter_context(proxy.daemon)
        for _ in range(350):
            stack.enter_context(WireClient(proxy.port))
        wait_until(lambda: get(proxy.port, "web").status == 200)
        assert {get(proxy.port, "web").status for _ in range(20)} == {200}
        assert is_alive(proxy.admin_port)


def test_idle_connections_to_endpoints_make_room(tmp_path: Path) -> None:
    with SlowDownstream() as first, Downstream(lambda _: b"x") as second, ExitStack() as stack:
        proxy = serving(config(first.port), tmp_path, 256)
        stack.enter_context(proxy.daemon)
        asking = [gevent.spawn(get, proxy.port, "web") for _ in range(90)]
        wait_until(lambda: len(first.wire) == 90)
        first.let_go()
        assert {one.get().status for one in asking} == {200}
        other = f"l5d-dtab: /svc/web => /$/inet/127.0.0.1/{second.port}"
        slow = [stack.enter_context(WireClient(proxy.port)) for _ in range(150)]
        for client in slow:
            client.send(b"GET / HTTP/1.1\r\nHo")
        assert get(proxy.port, "web", "/", other).status == 200


@pytest.mark.parametrize("descriptors", LIMITS)
def test_endpoints_that_do_not_accept_hold_up_only_who_asked_for_them(
    tmp_path: Path, descriptors: int
) -> None:
    with black_hole() as port, Downstream(lambda _: b"x") as origin, ExitStack() as stack:
        proxy = serving(config(port, PATIENT), tmp_path, descriptors)
        stack.enter_context(proxy.daemon)
        waiting = []
        for _ in range(descriptors):
            waiting.append(stack.enter_context(WireClient(proxy.port)))
            with suppress(ConnectionError):  # many are refused
                waiting[-1].send(BEGUN)
        for client in waiting:
            with suppress(ConnectionError):
                client.send(b"Host: hole\r\n\r\n" + BEGUN)
        assert is_alive(proxy.admin_port)
        replies: list[Reply] = []
        asking = [gevent.spawn(ask, proxy.port, replies) for _ in range(descriptors)]
        wait_until(lambda: len(replies) >= descriptors // 2 - 32)
        assert statuses(replies).keys() == {503}
        assert is_alive(proxy.admin_port)
        assert origin.requests == []
        gevent.killall(asking)


@pytest.mark.parametrize("descriptors", LIMITS)
def test_endpoints_that_do_not_answer_hold_up_only_who_asked_for_them(
    tmp_path: Path, descriptors: int
) -> None:
    with socket.socket() as silent, ExitStack() as stack:
        silent.bind(("127.0.0.1", 0))
        silent.listen(4096)
        proxy = serving(config(silent.getsockname()[1], PATIENT), tmp_path, descriptors)
        stack.enter_context(proxy.daemon)
        replies: list[Reply] = []
        asking = [gevent.spawn(ask, proxy.port, replies) for _ in range(descriptors)]
        wait_until(lambda: len(replies) >= descriptors // 2 - 32)
        assert statuses(replies).keys() == {503}
        assert is_alive(proxy.admin_port)
        gevent.killall(asking)


def test_two_routers_of_one_process_do_not_wait_for_each_other_s_descriptors(
    tmp_path: Path,
) -> None:
    with SlowDownstream() as origin, pair(tmp_path, origin.port) as ports:
        replies: list[Reply] = []
        asking = [gevent.spawn(ask, ports["outgoing"], replies) for _ in range(300)]
        wait_until(lambda: len(replies) >= 200)
        assert statuses(replies).keys() == {503}
        assert is_alive(ports["admin"])
        origin.let_go()
        gevent.joinall(asking, raise_error=True)
        counted = statuses(replies)
        assert (counted.keys(), counted.total()) == ({200, 503}, 300)
        assert counted[200] >= 10
        assert get(ports["outgoing"], "web").status == 200


def test_loops_between_routers_end_and_leave_nothing_behind(tmp_path: Path) -> None:
    with pair(tmp_path) as ports:
        replies: list[Reply] = []
        asking = [gevent.spawn(ask, ports["outgoing"], replies) for _ in range(100)]
        gevent.joinall(asking, raise_error=True)
        assert {one.status for one in replies} <= {503, 508}
        assert is_alive(ports["admin"])
        wait_until(lambda: get(ports["outgoing"], "web").status == 508)


def limit_of(pid: int) -> tuple[str, ...]:
    """Return how many descriptors *pid* may have, and could allow itself."""
    text = Path(f"/proc/{pid}/limits").read_text()
    found = re.search(r"Max open files +(\d+) +(\d+)", text)
    assert found
    return found.groups()


def test_the_soft_limit_is_raised_to_the_hard_one_in_workers_too(tmp_path: Path) -> None:
    command = limited("ulimit -Sn 200; ulimit -Hn 1000")
    proxy = Serving(with_workers(config(1)), tmp_path, command)
    with proxy.daemon:
        assert "limit of descriptors raised to 1000, it was 200" in proxy.daemon.output()
        processes = [proxy.daemon.process.pid, *pids(proxy)]
        assert [limit_of(pid) for pid in processes] == [("1000", "1000")] * 3


def test_a_worker_without_descriptors_says_no_and_the_admin_server_is_another_s(
    tmp_path: Path,
) -> None:
    with Downstream(lambda _: b"x") as origin, ExitStack() as stack:
        proxy = serving(with_workers(config(origin.port)), tmp_path, 256)
        stack.enter_context(proxy.daemon)
        held = stack.enter_context(ExitStack())
        for _ in range(700):
            slow = held.enter_context(WireClient(proxy.port))
            slow.sock._sock.send(b"GET / HTTP/1.1\r\nHo")
        assert is_alive(proxy.admin_port)
        assert statuses([get(proxy.port, "web") for _ in range(20)]) == {503: 20}
        held.close()
        wait_until(lambda: {get(proxy.port, "web").status for _ in range(5)} == {200})
