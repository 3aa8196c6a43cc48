from collections.abc import Iterator
from contextlib import closing

import pytest

from meshproxy.discovery.k8s.api import ApiServer, KubernetesApi, Timing
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line
from tests.kit.badserver import BadServer, Send, Until
from tests.kit.k8s import KubeApi

PATH = "/api/v1/namespaces/default/endpoints"
QUICK = Timing(connect_s=5, idle_timeout_s=0.05, page_s=5, watch_s=5)


@pytest.fixture
def kube() -> Iterator[KubeApi]:
    with KubeApi() as kube:
        yield kube


def page(api: KubernetesApi, query: str = "") -> bytes:
    """Ask for a list of endpoints."""
    with closing(Line(api, lambda: None)) as line:
        return line.ask(PATH + query).body


def test_a_page_comes_whole(kube: KubeApi) -> None:
    api = KubernetesApi(ApiServer("127.0.0.1", kube.port), Timing())
    assert b'"EndpointsList"' in page(api, "?limit=500&continue=100.0")
    assert kube.requests == [f"{PATH}?limit=500&continue=100.0"]


@pytest.mark.parametrize(
    ("status", "reason"), [(401, Reason.STATUS), (410, Reason.GONE), (302, Reason.STATUS)]
)
def test_a_status_other_than_200_is_a_failure(kube: KubeApi, status: int, reason: Reason) -> None:
    kube.refusals["/"] = status
    with pytest.raises(ApiFailure) as caught:
        page(KubernetesApi(ApiServer("127.0.0.1", kube.port), Timing()))
    assert (caught.value.reason, caught.value.status) == (reason, status)


def test_a_refused_connection_is_a_failure(kube: KubeApi) -> None:
    kube.close()
    with pytest.raises(ApiFailure) as caught:
        page(KubernetesApi(ApiServer("127.0.0.1", kube.port), Timing()))
    assert caught.value.reason is Reason.CONNECT


def test_silence_in_a_watch_is_a_failure(kube: KubeApi) -> None:
    api = KubernetesApi(ApiServer("127.0.0.1", kube.port), QUICK)
    with closing(Line(api, lambda: None)) as line, pytest.raises(ApiFailure) as caught:
        list(line.lines(f"{PATH}?watch=true", limit_s=60.0))
    assert caught.value.reason is Reason.STALLED


def test_silence_is_a_failure(kube: KubeApi) -> None:
    kube.stall()
    with pytest.raises(ApiFailure) as caught:
        page(KubernetesApi(ApiServer("127.0.0.1", kube.port), QUICK))
    assert caught.value.reason is Reason.STALLED


def test_a_page_has_a_time_limit_of_its_own(kube: KubeApi) -> None:
    kube.stall()
    timing = Timing(page_s=0.05)
    with pytest.raises(ApiFailure, match="within") as caught:
        page(KubernetesApi(ApiServer("127.0.0.1", kube.port), timing))
    assert caught.value.reason is Reason.STALLED


def test_the_server_says_where_it_is() -> None:
    assert str(ApiServer()) == "localhost:8001"
    assert str(ApiServer(auth="kubeconfig", context="lab")) == "kubeconfig lab"


def test_missing_credentials_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ApiFailure) as caught:
        page(KubernetesApi(ApiServer(auth="inCluster"), Timing()))
    assert caught.value.reason is Reason.CREDENTIALS


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_a_broken_answer_is_a_failure(answer: bytes) -> None:
    with BadServer([[Until(), Send(answer)]]) as server:
        api = KubernetesApi(ApiServer("127.0.0.1", server.port), Timing())
        with pytest.raises(ApiFailure) as caught:
            page(api)
    assert caught.value.reason is Reason.BROKEN
