"""Where the API of Kubernetes is, and that it can be asked."""

import sys

import pytest

from meshproxy.config.kubernetes import CLIENT_MISSING, has_client, problems

PROXY = ("localhost", 8001)


def told(*keys: object) -> list[tuple[str, str]]:
    return [(one.key, one.what) for one in problems(*keys)]  # type: ignore[arg-type]


def test_the_place_is_said_once() -> None:
    assert told(PROXY, "inCluster", None, None) == []
    assert told(("api.test", 8001), None, None, None) == []
    assert told(("api.test", 8001), "inCluster", None, None) == [
        ("auth", "auth: inCluster says where the API is, remove host and port")
    ]
    assert told(("localhost", 1), "inCluster", None, None, "k8sHost and k8sPort") == [
        ("auth", "auth: inCluster says where the API is, remove k8sHost and k8sPort")
    ]


def test_a_file_and_a_context_need_kubeconfig() -> None:
    needed = "needs auth: kubeconfig beside it"
    assert told(PROXY, "kubeconfig", "file", "context") == []
    assert told(PROXY, "inCluster", "file", None) == [("kubeconfig", needed)]
    assert told(PROXY, None, None, "context") == [("context", needed)]


def test_without_the_client_there_are_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_client()
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    assert not has_client()
    assert told(PROXY, "inCluster", None, None) == [("auth", CLIENT_MISSING)]
    assert told(PROXY, None, None, None) == []
