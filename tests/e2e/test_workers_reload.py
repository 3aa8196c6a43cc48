"""A reload is for all workers or for none, and nobody's requests notice it."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from tests.e2e.test_command import COMMAND, Serving
from tests.e2e.test_reload import BROKEN, GET, SERVER, post_reload
from tests.e2e.test_routing import config
from tests.e2e.test_workers import LISTEN, pids, sockets, variant, with_workers
from tests.e2e.test_workers import SERVER as SCOPE
from tests.kit.daemons import START_S, Daemon
from tests.kit.downstream import Downstream
from tests.kit.k8s import wait_until
from tests.kit.load import load
from tests.kit.wire import WireClient, free_port, get, refuses


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(lambda _: b"served") as server:
        yield server


@pytest.fixture
def serving(tmp_path: Path, origin: Downstream) -> Iterator[Serving]:
    started = Serving(with_workers(config(origin.port)), tmp_path)
    with started.daemon:
        yield started


@pytest.fixture(scope="module")
def lasting_origin() -> Iterator[Downstream]:
    with Downstream(lambda _: b"served") as server:
        yield server


@pytest.fixture(scope="module")
def lasting(
    lasting_origin: Downstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    """One proxy for all tests that leave its configuration as it is."""
    text = with_workers(config(lasting_origin.port))
    started = Serving(text, tmp_path_factory.mktemp("lasting"))
    with started.daemon:
        yield started


def refuse(serving: Serving, text: str) -> str:
    """Have *text* refused by *serving*, whose workers stay, and return what it logs meanwhile."""
    before, said = pids(serving), len(serving.daemon.output())
    failed = serving.metrics().get("reload/failed", 0)
    serving.reload(text, BROKEN)
    assert pids(serving) == before
    assert get(serving.port, "web").body == b"served"
    assert serving.metrics()["reload/failed"] == failed + 1
    return serving.daemon.output()[said:]


def test_reloads_under_load_fail_no_request(serving: Serving) -> None:
    """On kept connections and on new ones; what both generations counted adds up."""
    text, workers = serving.file.read_text(), pids(serving)
    with load(serving.port) as replies:
        for number in range(10):
            seen = len(replies)
            serving.reload(variant(text, number))
            wait_until(lambda seen=seen: len(replies) > seen + 8, START_S)
    assert {(reply.status, reply.body) for reply in replies} == {(200, b"served")}
    assert not any(reply.get("connection") for reply in replies)
    assert pids(serving) == workers
    counted = serving.metrics()
    assert counted["reload/ok"] == 10
    assert counted[f"{SCOPE}/{serving.port}/requests"] == len(replies)
    assert counted["rt/http/service/svc/web/success"] == len(replies)


@pytest.mark.world
def test_a_broken_file_changes_nothing(lasting: Serving, lasting_origin: Downstream) -> None:
    text = with_workers(config(lasting_origin.port, "  dtabb: /x"))
    assert "did you mean dtab?" in refuse(lasting, text)


@pytest.mark.world
@pytest.mark.parametrize("what", ["certificate", "server's port", "admin port"])
def test_what_the_first_worker_or_the_system_refuses_changes_nothing(
    lasting: Serving, lasting_origin: Downstream, tmp_path: Path, what: str
) -> None:
    port = lasting_origin.port
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate\n")
    text, reason = with_workers(config(port)), f"cannot listen on {lasting_origin.address}"
    match what:
        case "certificate":
            tls = f"  client: {{tls: {{commonName: x, trustCertsBundle: {bad}}}}}"
            text, reason = with_workers(config(port, tls)), str(bad)
        case "server's port":
            text = text.replace(SERVER, f"{SERVER}\n  - {{port: {port}, ip: 127.0.0.1}}")
        case _:
            text = text.replace("port: 0}\nrouters", f"port: {port}}}\nrouters")
    assert reason in refuse(lasting, text)


def test_the_number_of_workers_can_be_changed(serving: Serving, origin: Downstream) -> None:
    first = pids(serving)
    serving.reload(with_workers(config(origin.port), 3))
    wait_until(lambda: serving.metrics()["workers/serving"] == 3, START_S)
    assert pids(serving)[:2] == first
    assert len(sockets(serving.port, LISTEN)) == 3
    serving.reload(with_workers(config(origin.port), 1))
    wait_until(lambda: pids(serving) == first[:1], START_S)
    assert get(serving.port, "web").body == b"served"
    assert serving.metrics()["workers/restarts"] == 0


@pytest.mark.world
def test_workers_cannot_be_reloaded_away(lasting: Serving, lasting_origin: Downstream) -> None:
    assert "takes a restart" in refuse(lasting, config(lasting_origin.port))
    assert len(pids(lasting)) == 2


def test_a_worker_that_is_replaced_serves_what_was_reloaded(serving: Serving) -> None:
    with Downstream(lambda _: b"other") as other:
        serving.reload(with_workers(config(other.port)))
        before = pids(serving)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: before[0] not in pids(serving), START_S)
        wait_until(lambda: serving.metrics()["workers/serving"] == 2, START_S)
        assert {get(serving.port, "web").body for _ in range(20)} == {b"other"}


def test_addresses_come_and_go(serving: Serving, origin: Downstream) -> None:
    port, text = free_port(), with_workers(config(origin.port))
    serving.reload(text.replace(SERVER, f"{SERVER}\n  - {{port: {port}, ip: 127.0.0.1}}"))
    assert get(port, "web").body == b"served"
    assert len(sockets(port, LISTEN)) == 2
    serving.reload(text)
    wait_until(lambda: refuses(port))
    with socket.create_server(("127.0.0.1", port)):
        assert get(serving.port, "web").body == b"served"


def test_the_admin_pages_can_move(serving: Serving, origin: Downstream) -> None:
    get(serving.port, "web")
    counted = serving.metrics()[f"{SCOPE}/{serving.port}/requests"]
    before, serving.admin_port = serving.admin_port, free_port()
    text = with_workers(config(origin.port))
    serving.reload(text.replace("port: 0}\nrouters", f"port: {serving.admin_port}}}\nrouters"))
    get(serving.port, "web")
    assert serving.metrics()[f"{SCOPE}/{serving.port}/requests"] == counted + 1
    wait_until(lambda: refuses(before))


@pytest.mark.world
def test_a_post_reloads_and_tells_every_error(lasting: Serving, lasting_origin: Downstream) -> None:
    lasting.file.write_text(with_workers(config(lasting_origin.port)))
    assert post_reload(lasting).status == 200
    lasting.file.write_text(with_workers(config(lasting_origin.port, "  dtabb: /x")))
    reply = post_reload(lasting)
    assert (reply.status, b"did you mean dtab?" in reply.body) == (400, True)


def test_all_workers_accept_from_a_socket_of_systemd(tmp_path: Path, origin: Downstream) -> None:
    """A client that connects before the start is served, and one after a worker was killed."""
    ours = socket.create_server(("127.0.0.1", 0))
    port = ours.getsockname()[1]
    file = tmp_path / "a.yaml"
    server = f"- {{port: {port}, ip: 127.0.0.1}}"
    file.write_text(with_workers(config(origin.port).replace(SERVER, server)))
    hand_over = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3);"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
        "os.execv(sys.argv[2], sys.argv[2:])"
    )
    with ours, WireClient(port) as early:
        early.send(GET)
        command = [COMMAND[0], "-c", hand_over, str(ours.fileno()), *COMMAND, str(file)]
        with Daemon(command, tmp_path / "log", pass_fds=[ours.fileno()]) as daemon:
            assert early.read().body == b"served"
            wait_until(lambda: "admin: http" in daemon.output(), START_S)
            assert len(sockets(port, LISTEN)) == 1
            clients = [WireClient(port) for _ in range(40)]
            assert {client.get("web").body for client in clients} == {b"served"}
            for client in clients:
                client.close()
            assert daemon.stop() == 0


def test_ready_says_no_while_it_ends(tmp_path: Path, origin: Downstream) -> None:
    soon = "port: 0, shutdownDelayMs: 600}\nrouters"
    text = config(origin.port).replace("port: 0}\nrouters", soon)
    serving = Serving(with_workers(text), tmp_path)

    def status(page: str) -> int:
        return get(serving.admin_port, "localhost", page).status

    with serving.daemon as daemon:
        wait_until(lambda: status("/ready") == 200, START_S)
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: status("/ready") == 503)
        reply = get(serving.port, "web")
        assert (reply.status, reply.get("connection")) == (200, None)
        assert gevent.spawn(daemon.process.wait, START_S).get() == 0
