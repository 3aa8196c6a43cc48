"""Several workers are one proxy: what is served, counted, survived and ended."""

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gevent
import pytest
from h11 import RemoteProtocolError

from tests.e2e.test_admin import check_every_page_answers
from tests.e2e.test_command import COMMAND, Serving, run
from tests.e2e.test_reload import SERVER as WRITTEN
from tests.e2e.test_routing import config
from tests.kit.certs import Certs
from tests.kit.daemons import START_S
from tests.kit.downstream import Downstream, SlowDownstream
from tests.kit.k8s import wait_until
from tests.kit.statsd import Collector
from tests.kit.wire import CutShort, WireClient, dial, free_port, get, refuses

GET = b"GET / HTTP/1.1\r\nHost: web\r\n\r\n"
TELEMETRY = """
telemetry:
- {kind: io.l5d.prometheus}
- {kind: io.l5d.recentRequests, sampleRate: 1.0, capacity: 100}
"""
LISTEN, ESTABLISHED = "0A", "01"
SERVER = "rt/http/server/127.0.0.1"


def with_workers(text: str, number: int = 2, more: str = "") -> str:
    """Return the configuration *text* for *number* workers, with *more* top-level keys."""
    return f"{text}\nworkers: {number}\n{more}"


def variant(text: str, number: int) -> str:
    """Return *text* with other settings for each *number*."""
    keys = f"maxCallDepth: {100 + number}, headerReadTimeoutMs: {5000 + number}"
    return text.replace(WRITTEN, f"- {{port: 0, ip: 127.0.0.1, {keys}}}")


def workers(serving: Serving) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        get(serving.admin_port, "localhost", "/admin/workers.json").body
    )
    return found


def pids(serving: Serving) -> list[int]:
    return [worker["pid"] for worker in workers(serving)]


def metrics(serving: Serving) -> dict[str, float]:
    found: dict[str, float] = json.loads(
        get(serving.admin_port, "localhost", "/admin/metrics.json").body
    )
    return found


def served(serving: Serving) -> float:
    return metrics(serving).get(f"{SERVER}/{serving.port}/requests", 0)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def sockets(port: int, state: str, pid: int | None = None) -> list[int]:
    """Return the peers' ports of the sockets at local *port*, of all processes or of one."""
    own = set()
    if pid is not None:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            own.add(str(descriptor.readlink()))
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, is_in, *rest = line.split()
        is_own = pid is None or f"socket:[{rest[5]}]" in own
        if int(local.partition(":")[2], 16) == port and is_in == state and is_own:
            found.append(int(remote.partition(":")[2], 16))
    return found


@dataclass
class Load:
    """Clients that send requests one after the other, each on a connection it keeps."""

    port: int
    answers: Counter[int] = field(default_factory=Counter)
    """Complete ones, by our port."""
    failed: list[int] = field(default_factory=list)
    """Our ports of the connections that failed."""
    is_over: bool = False

    def start(self, clients: int) -> list[gevent.Greenlet]:
        return [gevent.spawn(self._run) for _ in range(clients)]

    def of(self, ports: Iterable[int]) -> int:
        """Return the answers that came to *ports*."""
        return sum(self.answers[port] for port in ports)

    def _run(self) -> None:
        while not self.is_over:
            port = 0
            try:
                with WireClient(self.port) as client:
                    port = client.sock.getsockname()[1]
                    self._talk(client, port)
            except (CutShort, RemoteProtocolError, ConnectionResetError, BrokenPipeError):
                self.failed.append(port)

    def _talk(self, client: WireClient, port: int) -> None:
        while not self.is_over:
            reply = client.get("web")
            assert (reply.status, reply.body) == (200, b"served")
            self.answers[port] += 1


@pytest.fixture
def origin() -> Iterator[Downstream]:
    with Downstream(lambda _: b"served") as server:
        yield server


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """One proxy for all tests that send it no request and leave it as it is."""
    text = config(1).replace(
        "port: 0}\nrouters", f"port: 0, httpIdentifierPort: {free_port()}}}\nrouters"
    )
    started = Serving(with_workers(text), tmp_path_factory.mktemp("lasting"))
    with started.daemon:
        yield started


@pytest.fixture
def slow() -> Iterator[SlowDownstream]:
    with SlowDownstream() as server:
        yield server


def test_many_workers_look_like_one_proxy(tmp_path: Path, origin: Downstream) -> None:
    serving = Serving(with_workers(config(origin.port), 2, TELEMETRY), tmp_path)
    with serving.daemon:
        clients = [WireClient(serving.port) for _ in range(30)]
        for number, client in enumerate(clients):
            for _ in range(3):
                assert client.get(f"web{number % 2}").body == b"served"
        assert len(sockets(serving.port, LISTEN)) == 2
        assert all(sockets(serving.port, ESTABLISHED, pid) for pid in pids(serving))

        numbers = metrics(serving)
        scope = f"{SERVER}/{serving.port}"
        assert numbers[f"{scope}/requests"] == numbers[f"{scope}/status/2XX"] == 90
        assert numbers[f"{scope}/connections"] == 30
        assert numbers["rt/http/service/svc/web1/requests"] == 45
        assert numbers["workers/serving"] == 2
        client_scope = f"rt/http/client/$/inet/127.0.0.1/{origin.port}"
        assert numbers[f"{client_scope}/loadbalancer/algorithm/p2c_least_loaded"] == 1

        page = get(serving.admin_port, "localhost", "/admin/metrics/prometheus").body.decode()
        labels = f'{{rt="http", server="127.0.0.1/{serving.port}"}}'
        assert f"rt:server:requests{labels} 90\n" in page
        assert f"rt:server:request_latency_ms_count{labels} 90\n" in page

        table = get(serving.admin_port, "localhost", "/requests").body.decode()
        assert table.count(">/svc/web0</a>") == table.count(">/svc/web1</a>") == 45
        for client in clients:
            client.close()
        assert serving.daemon.stop() == 0


def test_requests_of_all_workers_are_told_as_they_end(tmp_path: Path, origin: Downstream) -> None:
    quiet = "telemetry:\n- {kind: io.l5d.recentRequests, sampleRate: 0.0}\n"
    one = Serving(with_workers(config(origin.port), 2, quiet), tmp_path)
    with one.daemon:
        with dial(("127.0.0.1", one.admin_port)) as reader:
            reader.sendall(b"GET /tap?seconds=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            reader.settimeout(START_S)
            reader.recv(4096)
            told = b""
            while told.count(b'"path": "/told"') < 10:
                clients = [WireClient(one.port) for _ in range(8)]
                for client in clients:
                    client.get("web", "/told")
                    client.close()
                told += reader.recv(65536)
        page = get(one.admin_port, "localhost", "/requests.json").body
        assert b"/told" in page
        assert one.daemon.stop() == 0


def test_pages_of_state_speak_for_all_workers(tmp_path: Path, origin: Downstream) -> None:
    files = tmp_path / "names"
    files.mkdir()
    for name in ("web0", "web1"):
        (files / name).write_text(f"127.0.0.1 {origin.port}")
    namer = f"namers: [{{kind: io.l5d.fs, rootDir: {files}}}]"
    text = config(origin.port).replace(f"/$/inet/127.0.0.1/{origin.port}", "/#/io.l5d.fs/web0")
    serving = Serving(with_workers(text, 2, namer), tmp_path)
    with serving.daemon:
        port = serving.admin_port
        assert get(serving.port, "web").body == b"served"
        found = json.loads(get(port, "localhost", "/client_state.json").body)
        assert found["/#/io.l5d.fs/web0"]["addresses"] == [f"127.0.0.1:{origin.port}"]
        query = "router=http&client=/%23/io.l5d.fs/web0"
        by_worker = json.loads(get(port, "localhost", f"/endpoints.json?{query}").body)
        states = [one["state"] for endpoints in by_worker.values() for one in endpoints]
        assert (set(by_worker), states) == ({"worker 0", "worker 1"}, ["alive"])
        overview = json.loads(get(port, "localhost", "/overview.json").body)
        assert [one["state"] for one in overview["workers"]] == ["serving"] * 2
        names = json.loads(get(port, "localhost", "/bound-names.json").body)
        assert names == ["/#/io.l5d.fs/web0", "/#/io.l5d.fs/web1"]
        target = "/delegator.json?namespace=http&path=/svc/web"
        tree = json.loads(get(port, "localhost", target).body)
        assert (tree["type"], tree["path"]) == ("delegate", "/svc/web")
        waiting = get(port, "localhost", "/admin/threads").body.decode()
        told = [line.partition(":")[0] for line in waiting.splitlines() if "greenlets" in line]
        assert told == ["supervisor", "worker 0", "worker 1"]
        target = f"/admin/endpoint?{query}&address=127.0.0.1:{origin.port}&state=dead"
        with WireClient(port) as client:
            head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
            client.send(head.encode())
            assert client.read(b"POST").status == 200
        by_worker = json.loads(get(port, "localhost", f"/endpoints.json?{query}").body)
        assert [one["state"] for found in by_worker.values() for one in found] == ["dead"]
        events = json.loads(get(port, "localhost", "/events.json?q=by+hand").body)
        assert [event["process"] in by_worker for event in events] == [True]
        events = json.loads(get(port, "localhost", "/events.json?q=serves").body)
        assert {event["subject"] for event in events} == {"worker 0", "worker 1"}
        assert {event["process"] for event in events} == {"supervisor"}
        shown = json.loads(get(port, "localhost", "/discovery.json").body)
        assert {one["source"] for one in shown["names"]} == {"/#/io.l5d.fs"}
        check_every_page_answers(port)
        assert get(port, "localhost", "/namer_state/no.json").status == 404


def test_a_level_is_set_in_all_workers_and_in_those_to_come(
    tmp_path: Path, origin: Downstream
) -> None:
    serving = Serving(with_workers(config(origin.port)), tmp_path)
    with serving.daemon as daemon:
        with WireClient(serving.admin_port) as client:
            form = b"logger=meshproxy.runtime.worker&level=error"
            head = b"POST /logging.json HTTP/1.1\r\nHost: localhost\r\n"
            client.send(head + b"Content-Length: %d\r\n\r\n" % len(form) + form)
            assert client.read(b"POST").status == 200
        first, second = pids(serving)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: first not in pids(serving) and len(pids(serving)) == 2, START_S)
        wait_until(lambda: metrics(serving)["workers/serving"] == 2, START_S)
        both = pids(serving)
        assert second in both
        daemon.process.kill()
        wait_until(lambda: not any(map(is_running, both)), START_S)
        assert "the supervisor is gone" not in daemon.output()


def test_a_killed_worker_costs_its_own_connections_and_last_counts_only(
    tmp_path: Path, origin: Downstream
) -> None:
    """Reloads do not cost even that."""
    serving = Serving(with_workers(config(origin.port)), tmp_path)
    text = serving.file.read_text()
    with serving.daemon:
        load, seen, uncounted = Load(serving.port), [0.0], 0
        running = load.start(12)
        for number in range(3):
            before = load.answers.total()
            wait_until(lambda before=before: load.answers.total() > before + 200, START_S)
            serving.reload(variant(text, number))
            victim = pids(serving)[number % 2]
            its_own = set(sockets(serving.port, ESTABLISHED, victim))
            failed, answered = len(load.failed), load.of(its_own)
            seen.append(served(serving))
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda victim=victim: victim not in pids(serving), START_S)
            wait_until(lambda: metrics(serving)["workers/serving"] == 2, START_S)
            assert set(load.failed[failed:]) <= its_own
            uncounted += load.of(its_own) - answered
            seen.append(served(serving))
        load.is_over = True
        gevent.joinall(running, timeout=START_S, raise_error=True)
        seen.append(served(serving))
        assert seen == sorted(seen)
        assert metrics(serving)["workers/restarts"] == 3
        assert metrics(serving)["reload/ok"] == 3
        total = load.answers.total()
        assert total - uncounted <= seen[-1] <= total + len(load.failed)
        wait_until(lambda: metrics(serving)[f"{SERVER}/{serving.port}/connections"] == 0)
        assert serving.daemon.stop() == 0


def test_statsd_gets_every_request_once(tmp_path: Path, origin: Downstream) -> None:
    with Collector() as collector:
        statsd = f"{{kind: io.l5d.statsd, experimental: true, port: {collector.port}}}"
        text = with_workers(config(origin.port), 3, f"telemetry: [{statsd}]")
        serving = Serving(text, tmp_path)
        name = f"linkerd.rt.http.server.127_0_0_1.{serving.port}.requests"
        with serving.daemon:
            for _ in range(20):
                get(serving.port, "web")
            wait_until(lambda: collector.count(name) == 20, START_S)
            for _ in range(20):
                get(serving.port, "web")
            assert serving.daemon.stop() == 0
        wait_until(lambda: collector.count(name) >= 40, START_S)
        assert collector.count(name) == 40


def test_workers_finish_and_end_when_the_supervisor_is_killed(
    tmp_path: Path, slow: SlowDownstream
) -> None:
    serving = Serving(with_workers(config(slow.port)), tmp_path)
    with serving.daemon as daemon, WireClient(serving.port) as client:
        both = pids(serving)
        client.send(GET)
        slow.wait_asked()
        daemon.process.kill()
        wait_until(lambda: sum(map(is_running, both)) == 1, START_S)
        wait_until(lambda: refuses(serving.port))
        slow.let_go()
        reply = client.read()
        assert (reply.body, reply.get("connection")) == (b"finished", "close")
        wait_until(lambda: not any(map(is_running, both)), START_S)


def test_workers_log_as_their_supervisor_does(tmp_path: Path, origin: Downstream) -> None:
    command = [*COMMAND, "--log-format", "json"]
    serving = Serving(with_workers(config(origin.port)), tmp_path, command)
    with serving.daemon as daemon:
        both = pids(serving)
        daemon.process.kill()
        wait_until(lambda: not any(map(is_running, both)), START_S)
        records = [json.loads(line) for line in daemon.output().splitlines()]
    last = [record for record in records if "the supervisor is gone" in record["message"]]
    assert sorted((one["worker"], one["level"]) for one in last) == [(0, "warning"), (1, "warning")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_running_requests_finish(
    tmp_path: Path, slow: SlowDownstream, number: signal.Signals
) -> None:
    serving = Serving(with_workers(config(slow.port)), tmp_path)
    with serving.daemon as daemon, WireClient(serving.port) as client:
        both = pids(serving)
        client.send(GET)
        slow.wait_asked()
        daemon.process.send_signal(number)
        wait_until(lambda: sum(map(is_running, both)) == 1, START_S)
        wait_until(lambda: refuses(serving.port))
        slow.let_go()
        assert client.read().get("connection") == "close"
        assert gevent.spawn(daemon.process.wait, START_S).get() == 0
        assert not any(map(is_running, both))


def test_the_grace_period_has_an_end(tmp_path: Path, slow: SlowDownstream) -> None:
    soon = "port: 0, shutdownGraceMs: 50}\nrouters"
    text = config(slow.port).replace("port: 0}\nrouters", soon)
    serving = Serving(with_workers(text), tmp_path)
    with serving.daemon as daemon, WireClient(serving.port) as client:
        client.send(GET)
        slow.wait_asked()
        assert daemon.stop() == 0
        assert client.read_to_end() == b""
        assert "the grace period is over" in daemon.output()


def test_a_second_signal_ends_all_at_once(tmp_path: Path, slow: SlowDownstream) -> None:
    serving = Serving(with_workers(config(slow.port)), tmp_path)
    with serving.daemon as daemon, WireClient(serving.port) as client:
        both = pids(serving)
        client.send(GET)
        slow.wait_asked()
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "received SIGTERM" in daemon.output())
        daemon.process.send_signal(signal.SIGTERM)
        assert gevent.spawn(daemon.process.wait, START_S).get() == 1
        wait_until(lambda: not any(map(is_running, both)))


def test_a_worker_that_is_told_to_end_finishes_and_is_replaced(
    tmp_path: Path, slow: SlowDownstream
) -> None:
    serving = Serving(with_workers(config(slow.port), 1), tmp_path)
    with serving.daemon, WireClient(serving.port) as client:
        (pid,) = pids(serving)
        client.send(GET)
        slow.wait_asked()
        os.kill(pid, signal.SIGTERM)
        slow.let_go()
        assert client.read().body == b"finished"
        wait_until(lambda: pids(serving) not in ([pid], []), START_S)
        wait_until(lambda: metrics(serving)["workers/serving"] == 1, START_S)
        assert get(serving.port, "web").body == b"finished"
        assert served(serving) == 2


def test_a_worker_that_cannot_start_is_tried_again_ever_more_slowly(
    tmp_path: Path, origin: Downstream
) -> None:
    """The other one serves; the file that it needs comes back, and so does the worker."""
    bundle = tmp_path / "bundle.pem"
    good = Certs(tmp_path).bundle.read_text()
    bundle.write_text(good)
    tls = f"tls: {{commonName: x, trustCertsBundle: {bundle}}}"
    client = f"  client: {{kind: io.l5d.static, configs: [{{prefix: /nobody, {tls}}}]}}"
    serving = Serving(with_workers(config(origin.port, client)), tmp_path)
    with serving.daemon as daemon:
        first, second = pids(serving)
        bundle.write_text("no certificate")
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: metrics(serving)["workers/failed_starts"] >= 3, START_S)
        assert get(serving.port, "web").body == b"served"
        assert f"trustCertsBundle: {bundle} holds no certificate in PEM" in daemon.output()
        bundle.write_text(good)
        wait_until(lambda: metrics(serving)["workers/serving"] == 2, START_S)
        assert second in pids(serving)
        assert daemon.stop() == 0
        said = re.findall(r"starting another worker \d in ([0-9.]+) s", daemon.output())
        waits = list(map(float, said))
        assert waits == sorted(waits)
        assert waits[0] < waits[-1]


def test_a_worker_that_does_not_answer_is_shown_and_keeps_nobody_waiting(
    lasting: Serving,
) -> None:
    stopped = pids(lasting)[0]
    os.kill(stopped, signal.SIGSTOP)
    try:
        wait_until(lambda: "silent" in [one["state"] for one in workers(lasting)], START_S)
        assert metrics(lasting)["workers/serving"] == 1
    finally:
        os.kill(stopped, signal.SIGCONT)
    wait_until(lambda: metrics(lasting)["workers/serving"] == 2, START_S)
    assert stopped in pids(lasting)


@pytest.mark.parametrize("taken", ["server", "admin"])
def test_an_address_of_another_proxy_is_refused(lasting: Serving, taken: str) -> None:
    """Two of them would share a port without a word, were it for SO_REUSEPORT alone."""
    text, port = config(1), lasting.port
    if taken == "server":
        text = text.replace("- {port: 0,", f"- {{port: {port},")
    else:
        port = lasting.admin_port
        text = text.replace("ip: 127.0.0.1, port: 0}", f"ip: 127.0.0.1, port: {port}}}")
    ran = run("-", stdin=with_workers(text))
    assert (ran.returncode, ran.stderr) == (
        1,
        f"meshproxy: -: cannot listen on 127.0.0.1:{port}: Address already in use\n",
    )


def test_what_stops_a_worker_from_starting_is_one_clear_line() -> None:
    unset = "namers: [{kind: io.l5d.k8s.ns, envVar: UNSET_HERE}]\n"
    ran = run("-", stdin=with_workers(config(1) + unset))
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert ran.stderr.startswith("meshproxy: -: namers[0]: ")
    assert "UNSET_HERE" in ran.stderr


def test_all_workers_write_one_access_log_which_is_rolled_once(
    tmp_path: Path, origin: Downstream
) -> None:
    log = tmp_path / "access.log"
    log.write_text("from before\n")
    keys = (
        f"  httpAccessLog: {log}\n  httpAccessLogAppend: false\n"
        "  httpAccessLogRollPolicy: 2.kilobytes"
    )
    serving = Serving(with_workers(config(origin.port, keys)), tmp_path)
    with serving.daemon:
        count = 0
        while len(list(tmp_path.glob("access-*.log"))) < 2:
            assert count < 20_000
            get(serving.port, "web", f"/{count}")
            count += 1
        assert serving.daemon.stop() == 0
    lines = "".join(file.read_text() for file in tmp_path.glob("access*.log")).splitlines()
    asked = sorted(int(line.split(" /")[1].split()[0]) for line in lines)
    assert asked == list(range(count))


def test_every_worker_names_requests_on_the_identifier_port(lasting: Serving) -> None:
    found = re.search(r"httpIdentifierPort: (\d+)", lasting.file.read_text())
    assert found
    port = int(found[1])
    assert len(sockets(port, LISTEN)) == 2
    assert json.loads(get(port, "web").body)["http"]["path"] == "/svc/web"


def test_a_failure_names_the_line_of_the_rule_that_ended_it(tmp_path: Path) -> None:
    text = config(free_port()).replace("/svc/* =>", "/svc/gone => /nowhere ;\n    /svc/web =>")
    serving = Serving(with_workers(text), tmp_path)
    with serving.daemon:
        for line in (6, 7):
            reply = get(serving.port, "gone")
            assert reply.status == 502
            place = f"{serving.file}:{line}:5"
            assert f"(/svc/gone => /nowhere, {place}): no dtab entry" in reply.body.decode()
            serving.reload("# one line more\n" + with_workers(text))
