"""The Kubernetes double is kept honest by the real client."""

import shutil
import subprocess

import gevent
import pytest

from tests.kit.k8s import KubeApi, endpoints, subset, wait_until

SHOW = 'jsonpath={.metadata.name}={.subsets[*].addresses[*].ip}{"\\n"}'


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_lists_and_watches_endpoints(tmp_path: object) -> None:
    with KubeApi() as api:
        api.publish("hello", "10.1.1.1")
        command = ["kubectl", "-s", f"http://127.0.0.1:{api.port}", "--cache-dir", str(tmp_path)]
        kubectl = subprocess.Popen(
            [*command, "get", "-w", "endpoints", "-o", SHOW],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            wait_until(lambda: api.watchers, timeout_s=30)
            api.publish("hello", "10.1.1.1", "10.1.1.2")
            api.publish("world", "10.1.1.3")
            api.withdraw("hello")
            wait_until(lambda: all(watcher.queue.empty() for watcher in api.watchers))
            api.end_watches()
            with gevent.Timeout(30):
                shown, _ = kubectl.communicate()
        finally:
            kubectl.kill()
            kubectl.wait()
    assert shown.splitlines() == [
        "hello=10.1.1.1",
        "hello=10.1.1.1 10.1.1.2",
        "world=10.1.1.3",
        "hello=10.1.1.1 10.1.1.2",
    ]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_pages_through_a_list_and_selects(tmp_path: object) -> None:
    with KubeApi() as api:
        for number in range(5):
            of = endpoints(f"s{number}", [subset([], [])], labels={"tier": f"t{number % 2}"})
            api.apply(of)
        command = ["kubectl", "-s", f"http://127.0.0.1:{api.port}", "--cache-dir", str(tmp_path)]
        shown = subprocess.run(
            [*command, "get", "ep", "-l", "tier=t0", "--chunk-size=2", "-o", "name"],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=30,
        ).stdout
    assert shown.split() == ["endpoints/s0", "endpoints/s2", "endpoints/s4"]
    assert sum("limit=2" in target for target in api.requests) == 2
