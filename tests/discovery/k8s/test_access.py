"""Credentials of the official client, tried on a TLS server."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from kubernetes.config import incluster_config

from meshproxy.discovery.k8s.access import anonymous, authenticated
from meshproxy.discovery.k8s.api import ApiServer, KubernetesApi, Timing
from meshproxy.discovery.watching.failure import ApiFailure, Reason
from meshproxy.discovery.watching.line import Line
from tests.kit.certs import Certs
from tests.kit.downstream import Answer, Downstream

PATH = "/api/v1/namespaces/default/endpoints"


@pytest.fixture
def certs(tmp_path: Path) -> Certs:
    return Certs(tmp_path)


@pytest.fixture
def secure(certs: Certs) -> Iterator[Downstream]:
    with Downstream(lambda _: Answer(body=b"{}"), context=certs.server("127.0.0.1")) as server:
        yield server


def page(api: KubernetesApi) -> bytes:
    """Ask for a list of endpoints."""
    with closing(Line(api, lambda: None)) as line:
        return line.ask(PATH).body


def kubeconfig(
    directory: Path, url: str, ca: Path, user: dict[str, str], name: str | None = None
) -> str:
    """Write a kubeconfig with one context, `lab`, whose server proves to be *name*."""
    file = directory / "kubeconfig"
    cluster = {"server": url, "certificate-authority": str(ca)}
    if name is not None:
        cluster["tls-server-name"] = name
    file.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "lab", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "lab",
            }
        )
    )
    return str(file)


def test_a_kubeconfig_gives_tls_and_a_token(
    tmp_path: Path, certs: Certs, secure: Downstream
) -> None:
    file = kubeconfig(tmp_path, f"https://{secure.address}", certs.bundle, {"token": "sesame"})
    api = KubernetesApi(ApiServer(auth="kubeconfig", kubeconfig=file, context="lab"), Timing())
    assert page(api) == b"{}"
    assert secure.requests[0].get("authorization") == "Bearer sesame"


def test_a_kubeconfig_gives_a_client_certificate(tmp_path: Path, certs: Certs) -> None:
    chain, key = certs.files("me")
    user = {"client-certificate": str(chain), "client-key": str(key)}
    context = certs.server("127.0.0.1", ask_for_client=True)
    with Downstream(lambda _: Answer(body=b"{}"), context=context) as server:
        file = kubeconfig(tmp_path, f"https://{server.address}", certs.bundle, user)
        api = KubernetesApi(ApiServer(auth="kubeconfig", kubeconfig=file), Timing())
        assert page(api) == b"{}"


def test_a_server_of_another_authority_is_refused(tmp_path: Path, secure: Downstream) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    other = Certs(elsewhere)
    file = kubeconfig(tmp_path, f"https://{secure.address}", other.bundle, {"token": "sesame"})
    with pytest.raises(ApiFailure) as caught:
        page(KubernetesApi(ApiServer(auth="kubeconfig", kubeconfig=file), Timing()))
    assert caught.value.reason is Reason.TLS
    assert secure.requests == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # gevent's socket
@pytest.mark.parametrize("name", ["other.test", ".test"], ids=["another", "none at all"])
def test_a_server_of_another_name_is_refused_and_nothing_is_printed(
    tmp_path: Path, certs: Certs, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with Downstream(lambda _: Answer(body=b"{}"), context=certs.server("a.test")) as server:
        url, user = f"https://{server.address}", {"token": "sesame"}
        file = kubeconfig(tmp_path, url, certs.bundle, user, name)
        with pytest.raises(ApiFailure) as caught:
            page(KubernetesApi(ApiServer(auth="kubeconfig", kubeconfig=file), Timing(page_s=5)))
        assert caught.value.reason is Reason.TLS
        assert server.requests == []
    assert capfd.readouterr().err == ""


def test_a_token_that_no_header_can_hold_is_not_told(
    tmp_path: Path, certs: Certs, secure: Downstream
) -> None:
    file = kubeconfig(
        tmp_path, f"https://{secure.address}", certs.bundle, {"token": "open\r\nsesame"}
    )
    with pytest.raises(ApiFailure) as caught:
        page(KubernetesApi(ApiServer(auth="kubeconfig", kubeconfig=file), Timing()))
    assert str(caught.value) == "the credentials hold a control character"


def test_a_pod_uses_its_service_account(
    tmp_path: Path, certs: Certs, secure: Downstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("mine\n")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certs.bundle))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(secure.port))
    api = KubernetesApi(ApiServer(auth="inCluster"), Timing())
    assert page(api) == b"{}"
    assert (
        secure.requests[0].get(
            "authorization",
        )
        == "bearer mine"
    )


def test_what_is_missing_is_told_from_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kubeconfig"
    with pytest.raises(FileNotFoundError, match=f"needs {file}, which is not here"):
        authenticated("kubeconfig", str(file), None)
    file.write_text("kind: Config\n")
    with pytest.raises(ValueError, match="Invalid kube-config"):
        authenticated("kubeconfig", str(file), None)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    with pytest.raises(FileNotFoundError, match=f"auth: inCluster needs {tmp_path}/token"):
        authenticated("inCluster", None, None)


def test_a_proxy_needs_no_credentials() -> None:
    access = anonymous("[::1]", 8001)
    connection = access.connection()
    assert (connection.host, connection.port) == ("::1", 8001)
    assert access.host == "[::1]:8001"
    assert access.headers() == {}
