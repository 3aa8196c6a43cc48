"""SIGHUP under load: nobody notices but those who look at what has changed."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from gevent import socket

from tests.e2e.test_command import COMMAND, Serving
from tests.e2e.test_routing import config
from tests.kit.daemons import START_S, Daemon
from tests.kit.downstream import Downstream, SlowDownstream
from tests.kit.k8s import wait_until
from tests.kit.load import load
from tests.kit.wire import Reply, WireClient, get

GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
BROKEN = "the configuration before is still served:"
POST = b"POST /admin/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
SERVER = "- {port: 0, ip: 127.0.0.1}"


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(lambda _: b"served") as server:
        yield server


@pytest.fixture
def serving(tmp_path: Path, origin: Downstream) -> Iterator[Serving]:
    started = Serving(config(origin.port), tmp_path)
    with started.daemon:
        yield started


def other_server(text: str, number: int) -> str:
    """Return *text* with other settings of its server for each *number*."""
    keys = f"maxCallDepth: {100 + number}, headerReadTimeoutMs: {5000 + number}"
    return text.replace(SERVER, f"- {{port: 0, ip: 127.0.0.1, {keys}}}")


def other_client(text: str, number: int) -> str:
    """Return *text* with other settings of its client for each *number*, and a second server."""
    client = f"  client: {{requestAttemptTimeoutMs: {20_000 + number}}}\n"
    return text.replace("  servers:", client + "  servers:") + f"  {SERVER}\n" * (number % 2)


def post_reload(serving: Serving) -> Reply:
    """Ask the admin page to reload."""
    with WireClient(serving.admin_port) as client:
        client.send(POST)
        return client.read(b"POST")


def listening(serving: Serving) -> set[str]:
    """Return the inodes of the sockets that the proxy listens on."""
    pid = serving.daemon.process.pid
    table = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    rows = [line.split() for line in table]
    ours = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            ours.add(str(descriptor.readlink()))
    return {row[9] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in ours}


# --- under load ---


@pytest.mark.parametrize(
    ("change", "connections"),
    [pytest.param(other_server, 8, id="server"), pytest.param(other_client, 21 * 8, id="client")],
)
def test_twenty_reloads_under_load_fail_no_request(
    serving: Serving, origin: Downstream, change: Callable[[str, int], str], connections: int
) -> None:
    """Clients that keep their connection and clients that open new ones, through every reload."""
    text = serving.file.read_text()
    sockets = listening(serving)
    with load(serving.port) as replies:
        for number in range(20):
            seen = len(replies)
            serving.reload(change(text, number))
            wait_until(lambda seen=seen: len(replies) > seen + 8)
    assert {(reply.status, reply.body) for reply in replies} == {(200, b"served")}
    assert not any(reply.get("connection") for reply in replies)
    assert len(origin.requests) == len(replies)
    counted = serving.metrics()
    assert counted["reload/ok"] == 20
    assert counted["rt/http/server/127.0.0.1/0/requests"] == len(replies)
    assert counted["rt/http/service/svc/web/success"] == len(replies)
    client = f"rt/http/client/$/inet/127.0.0.1/{origin.port}"
    assert counted[f"{client}/requests"] == len(replies)
    assert counted[f"{client}/connects"] <= connections
    assert listening(serving) >= sockets


def test_a_request_in_progress_finishes_under_the_configuration_it_began_with(
    tmp_path: Path,
) -> None:
    with SlowDownstream(b"first") as first, Downstream(lambda _: b"second") as second:
        serving = Serving(config(first.port), tmp_path)
        with serving.daemon, WireClient(serving.port) as client:
            client.send(GET)
            first.wait_asked()
            serving.reload(config(second.port))
            assert get(serving.port, "web").body == b"second"
            first.let_go()
            assert client.read().body == b"first"
            assert client.get("web").body == b"second"


# --- what goes wrong ---


def test_a_broken_file_changes_nothing_and_is_explained(serving: Serving) -> None:
    good = serving.file.read_text()
    broken = good.replace("dtab:", "dtabb:").replace("port: 0, ip: 127.0.0.1}", "port: 80000}")
    with WireClient(serving.port) as client:
        assert client.get("web").body == b"served"
        serving.reload(broken, BROKEN)
        assert client.get("web").body == b"served"
    output = serving.daemon.output()
    assert f"{serving.file}:5:3: routers[0].dtabb: " in output
    assert f"{serving.file}:9:12: routers[0].servers[0].port: " in output
    serving.reload(good)
    counted = serving.metrics()
    assert (counted["reload/ok"], counted["reload/failed"]) == (1, 1)


def test_an_address_that_cannot_be_had_changes_nothing(
    serving: Serving, origin: Downstream
) -> None:
    sockets = listening(serving)
    text = other_server(serving.file.read_text(), 1)
    taken = f"{SERVER}\n  - {{port: {origin.port}, ip: 127.0.0.1}}"
    serving.reload(text.replace("  servers:", f"  servers:\n  {SERVER}\n  {taken}"), BROKEN)
    assert f"cannot listen on 127.0.0.1:{origin.port}" in serving.daemon.output()
    assert get(serving.port, "web", "/", f"Via: {', '.join(['1.1 a'] * 200)}").status == 200
    assert listening(serving) == sockets


def test_a_file_that_is_gone_changes_nothing(serving: Serving) -> None:
    serving.file.unlink()
    serving.daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: serving.told(BROKEN) == 1)
    assert "No such file" in serving.daemon.output()
    assert get(serving.port, "web").body == b"served"


def test_what_came_from_standard_input_cannot_be_read_again(
    tmp_path: Path, origin: Downstream
) -> None:
    log = tmp_path / "access.log"
    text = config(origin.port, f"  httpAccessLog: {log}")
    (tmp_path / "in.yaml").write_text(text)
    command = ["sh", "-c", f"exec {' '.join(COMMAND)} - < {tmp_path}/in.yaml"]
    with Daemon(command, tmp_path / "log") as daemon:
        wait_until(lambda: "admin: http" in daemon.output(), START_S)
        port = int(daemon.output().partition("http://127.0.0.1:")[2].split()[0])
        get(port, "web")
        wait_until(lambda: log.exists() and log.read_text().count("\n") == 1)
        log.rename(tmp_path / "moved.log")
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "from standard input" in daemon.output())
        get(port, "web")
        wait_until(lambda: log.exists() and log.read_text().count("\n") == 1)


# --- by the admin page ---


def test_a_post_reloads(serving: Serving) -> None:
    serving.file.write_text(other_server(serving.file.read_text(), 1))
    reply = post_reload(serving)
    assert (reply.status, reply.body) == (200, b"reloaded\n")
    assert serving.metrics()["reload/ok"] == 1
    assert get(serving.admin_port, "localhost", "/admin/reload").status == 405


def test_a_post_tells_every_error(serving: Serving) -> None:
    serving.file.write_text("routers:\n- protocol: http\n  dtabb: /x\n  servers: [{port: 80000}]\n")
    reply = post_reload(serving)
    assert reply.status == 400
    assert [line.partition(b": ")[0] for line in reply.body.splitlines()] == [
        f"{serving.file}:{place}".encode() for place in ("3:3", "4:20")
    ]


# --- the start and the end ---


class Manager:
    """A socket that hears what is told to systemd."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.settimeout(START_S)

    def hear(self) -> dict[str, str]:
        """Return the next message."""
        lines = self.sock.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_is_told(tmp_path: Path, origin: Downstream, is_abstract: bool) -> None:
    path = str(tmp_path / "notify")
    manager = Manager("\0" + path if is_abstract else path)
    file = tmp_path / "a.yaml"
    file.write_text(config(origin.port))
    environ = {**os.environ, "NOTIFY_SOCKET": "@" + path if is_abstract else path}
    with manager.sock, Daemon([*COMMAND, str(file)], tmp_path / "log", environ) as daemon:
        assert manager.hear() == {"READY": "1"}
        daemon.process.send_signal(signal.SIGHUP)
        told = manager.hear()
        assert (told["RELOADING"], int(told["MONOTONIC_USEC"]) > 0) == ("1", True)
        assert manager.hear() == {"READY": "1"}
        daemon.process.send_signal(signal.SIGTERM)
        assert manager.hear() == {"STOPPING": "1"}
        assert gevent.spawn(daemon.process.wait, START_S).get() == 0


def test_sockets_of_systemd_are_served_and_unknown_ones_closed(
    tmp_path: Path, origin: Downstream
) -> None:
    """A client that connects before the start is served; a socket nobody wants is named."""
    ours, strange = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    fds = [ours.fileno(), strange.fileno()]
    port = ours.getsockname()[1]
    file = tmp_path / "a.yaml"
    file.write_text(config(origin.port).replace(SERVER, f"- {{port: {port}, ip: 127.0.0.1}}"))
    hand_over = (
        "import os, sys; keep = [os.dup(int(fd)) for fd in sys.argv[1:3]];"
        "[os.dup2(fd, 3 + n) for n, fd in enumerate(os.dup(fd) for fd in keep)];"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2', LISTEN_FDNAMES='web:odd');"
        "os.execv(sys.argv[3], sys.argv[3:])"
    )
    with ours, strange, WireClient(port) as early:
        early.send(GET)
        command = [COMMAND[0], "-c", hand_over, *map(str, fds), *COMMAND, str(file)]
        with Daemon(command, tmp_path / "log", pass_fds=fds) as daemon:
            assert early.read().body == b"served"
            output = daemon.output
            wait_until(lambda: "closed socket odd of systemd" in output())
            strange_port = strange.getsockname()[1]
            assert f"127.0.0.1 port {strange_port}: no server uses it" in output()
            assert get(port, "web").body == b"served"


def test_ready_says_no_first_and_the_listener_closes_after_the_delay(
    tmp_path: Path, origin: Downstream
) -> None:
    text = config(origin.port).replace(
        "port: 0}\nrouters", "port: 0, shutdownDelayMs: 600}\nrouters"
    )
    serving = Serving(text, tmp_path)

    def status(page: str) -> int:
        return get(serving.admin_port, "localhost", page).status

    with serving.daemon as daemon:
        assert (status("/ready"), status("/live")) == (200, 200)
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: status("/ready") == 503)
        reply = get(serving.port, "web")
        assert (reply.status, reply.get("connection")) == (200, None)
        assert status("/live") == 200
        assert gevent.spawn(daemon.process.wait, START_S).get() == 0


def test_a_reload_while_it_ends_is_refused(tmp_path: Path, origin: Downstream) -> None:
    text = config(origin.port).replace(
        "port: 0}\nrouters", "port: 0, shutdownDelayMs: 600}\nrouters"
    )
    serving = Serving(text, tmp_path)
    with serving.daemon as daemon:
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "serving on for 0.6 s" in daemon.output())
        reply = post_reload(serving)
        assert (reply.status, reply.body) == (400, b"the process is ending\n")
        assert gevent.spawn(daemon.process.wait, START_S).get() == 0
