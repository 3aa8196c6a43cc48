"""A supervisor within the test's process, above workers that are processes of their own."""

import json
import os
import signal
from collections.abc import Iterator

import pytest

from meshproxy.config.load import load
from meshproxy.runtime.building import CannotStart
from meshproxy.runtime.supervisor import Supervisor
from tests.e2e.test_metric_names import CONFIG, is_described
from tests.e2e.test_workers import with_workers
from tests.kit.daemons import START_S
from tests.kit.downstream import Answer, Downstream
from tests.kit.k8s import KubeApi, wait_until
from tests.kit.wire import Reply, get
from tests.runtime.test_readiness import config as watching


def page(supervisor: Supervisor, path: str) -> Reply:
    return get(supervisor.admin_port, "localhost", path)


@pytest.fixture
def api() -> Iterator[KubeApi]:
    with KubeApi() as running:
        yield running


def test_every_metric_of_workers_is_in_the_list() -> None:
    with Downstream(lambda _: Answer(status=503)) as origin:
        text = with_workers(CONFIG.format(port=origin.port), 1)
        supervisor = Supervisor(load(text, "a.yaml"))
        supervisor.start()
        try:
            for name in ("web", "gone", "unknown"):
                get(supervisor.ports["http"][0], name)
            assert page(supervisor, "/admin/metrics.json").status == 200
            metrics = list(supervisor.metrics.walk())
        finally:
            supervisor.close()
    assert len(metrics) > 100
    assert ["/".join(scope) for scope, one in metrics if not is_described(scope, one)] == []


def test_it_is_ready_when_all_workers_are(api: KubeApi) -> None:
    api.stall()
    supervisor = Supervisor(load(with_workers(watching(api)), "a.yaml"))
    supervisor.start()
    try:
        waiting = b"waiting for the first answer of /#/io.l5d.k8s/default/http"
        wait_until(lambda: waiting in page(supervisor, "/ready").body, START_S)
        assert page(supervisor, "/ready").status == 503
        assert page(supervisor, "/live").status == 200
        api.resume()
        wait_until(lambda: page(supervisor, "/ready").status == 200, START_S)
    finally:
        supervisor.close()


def test_it_is_not_ready_while_no_worker_serves(api: KubeApi) -> None:
    supervisor = Supervisor(load(with_workers(watching(api), 1), "a.yaml"))
    supervisor.start()
    try:
        wait_until(lambda: page(supervisor, "/ready").status == 200, START_S)
        (worker,) = json.loads(page(supervisor, "/admin/workers.json").body)
        os.kill(worker["pid"], signal.SIGKILL)
        wait_until(lambda: page(supervisor, "/ready").body == b"no worker serves\n", START_S)
        wait_until(lambda: page(supervisor, "/ready").status == 200, START_S)
    finally:
        supervisor.close()


def test_nothing_is_left_of_one_that_cannot_start() -> None:
    with Downstream(lambda _: b"") as other:
        text = with_workers(CONFIG.format(port=1)).replace(
            "{port: 0, ip", f"{{port: {other.port}, ip"
        )
        supervisor = Supervisor(load(text, "a.yaml"))
        with pytest.raises(CannotStart, match=f"cannot listen on {other.address}: Address already"):
            supervisor.start()
