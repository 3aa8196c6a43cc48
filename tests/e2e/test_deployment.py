"""The files for systemd, Kubernetes and Docker say what their readers understand."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
import yaml
from gevent import socket
from kubernetes import client

from meshproxy.config.load import load
from meshproxy.config.schema import LinkerConfig
from meshproxy.runtime.linker import Linker
from tests.e2e.test_command import COMMAND
from tests.e2e.test_routing import config
from tests.kit.daemons import Daemon, find
from tests.kit.downstream import Answer, Downstream, Received
from tests.kit.wire import get

ROOT = Path(__file__).parent.parent.parent
UNITS = ROOT / "conf/systemd"
MANIFESTS = sorted((ROOT / "conf/kubernetes").glob("*.yaml"))
OBJECTS: list[Any] = [one for file in MANIFESTS for one in yaml.safe_load_all(file.read_text())]
BY_KIND = {one["kind"]: one for one in OBJECTS}
POD = BY_KIND["DaemonSet"]["spec"]["template"]["spec"]


def served() -> LinkerConfig:
    return load((ROOT / "conf/kubernetes/configmap.yaml").read_text(), "configmap.yaml")


# --- systemd ---


@pytest.mark.skipif(not find("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_no_fault_with_the_units(tmp_path: Path) -> None:
    for unit in UNITS.iterdir():
        here = unit.read_text().replace("/opt/meshproxy/bin/", f"{ROOT}/bin/")
        (tmp_path / unit.name).write_text(here)
    units = [str(tmp_path / unit.name) for unit in UNITS.iterdir()]
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_sockets_are_those_of_the_article() -> None:
    text = (UNITS / "meshproxy.socket").read_text()
    article = load((ROOT / "conf/egress.yaml").read_text(), "egress.yaml")
    servers = [f"{server.ip}:{server.port}" for one in article.routers for server in one.servers]
    assert re.findall(r"^ListenStream=(.*)$", text, re.MULTILINE) == servers


@pytest.mark.skipif(not find("systemd-socket-activate"), reason="systemd is not installed")
def test_systemd_hands_its_socket_over(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    file = tmp_path / "a.yaml"
    with Downstream(lambda _: b"served") as origin:
        address = f"- {{port: {port}, ip: 127.0.0.1}}"
        file.write_text(config(origin.port).replace("- {port: 0, ip: 127.0.0.1}", address))
        activate = [find("systemd-socket-activate") or "", "-l", f"127.0.0.1:{port}"]
        with Daemon([*activate, *COMMAND, str(file)], tmp_path / "log") as daemon:
            daemon.wait_port(port)
            assert get(port, "web").body == b"served"
            assert "no server's" not in daemon.output()


# --- Kubernetes ---


def test_the_config_map_is_a_configuration_that_can_be_served() -> None:
    environ = {"POD_IP": "10.1.2.3", "NODE_NAME": "node-1"}
    config = served()
    assert [router.label for router in Linker(config, environ).routers] == ["outgoing", "incoming"]
    names = {env["name"] for env in POD["containers"][0]["env"]}
    assert names == set(environ)


@pytest.mark.parametrize("manifest", OBJECTS, ids=lambda one: f"{one['kind']}")
def test_every_field_of_a_manifest_is_one_that_kubernetes_has(manifest: dict[str, Any]) -> None:
    """So say the models of the official client, which are made from the API's own description."""
    assert list(strangers(manifest, f"V1{manifest['kind']}", manifest["kind"])) == []


def test_a_field_that_kubernetes_has_not_is_seen() -> None:
    wrong = {"spec": {"template": {"spec": {"containers": [{"name": "a", "imag": "b"}]}}}}
    assert list(strangers(wrong, "V1DaemonSet", "a")) == ["a.spec.template.spec.containers[0].imag"]


def strangers(value: Any, type_: str, at: str) -> Iterator[str]:
    """Yield where in *value*, of the client's *type_*, a field is that the type does not have."""
    item = re.fullmatch(r"[Ll]ist\[(.*)\]", type_)
    if item:
        for index, one in enumerate(value):
            yield from strangers(one, item[1], f"{at}[{index}]")
    elif hasattr(client, type_):
        model = getattr(client, type_)
        fields = {name: model.openapi_types[field] for field, name in model.attribute_map.items()}
        for name, one in value.items():
            if name in fields:
                yield from strangers(one, fields[name], f"{at}.{name}")
            else:
                yield f"{at}.{name}"


def test_ports_probes_and_times_agree_with_the_configuration() -> None:
    config = served()
    ports = {port["name"]: port["containerPort"] for port in POD["containers"][0]["ports"]}
    servers = {router.name: router.servers[0].port for router in config.routers}
    assert ports == {**servers, "admin": config.admin.port}
    exposed = {one["name"]: one["port"] for one in BY_KIND["Service"]["spec"]["ports"]}
    assert exposed == servers
    for probe, path in (("livenessProbe", "/live"), ("readinessProbe", "/ready")):
        assert POD["containers"][0][probe]["httpGet"] == {"path": path, "port": "admin"}
    ending_s = (config.admin.shutdown_delay_ms + config.admin.shutdown_grace_ms) / 1000
    assert POD["terminationGracePeriodSeconds"] > ending_s
    assert POD["containers"][0]["args"] == ["/etc/meshproxy/config.yaml"]


def test_objects_refer_to_each_other() -> None:
    account = BY_KIND["ServiceAccount"]["metadata"]
    assert POD["serviceAccountName"] == account["name"]
    binding = BY_KIND["ClusterRoleBinding"]
    assert binding["roleRef"]["name"] == BY_KIND["ClusterRole"]["metadata"]["name"]
    assert binding["subjects"][0] == {"kind": "ServiceAccount"} | account
    labels = BY_KIND["DaemonSet"]["spec"]["template"]["metadata"]["labels"]
    assert BY_KIND["Service"]["spec"]["selector"] == labels
    assert POD["volumes"][0]["configMap"]["name"] == BY_KIND["ConfigMap"]["metadata"]["name"]
    gateway = served().namers[0].transformers[0]
    service = BY_KIND["Service"]["metadata"]
    assert (gateway.service, gateway.namespace) == (service["name"], service["namespace"])  # type: ignore[attr-defined]


def groups(_: Received) -> Answer:
    """Answer as an API server that is asked what kinds of objects there are."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in OBJECTS:
        version, kind = one["apiVersion"], one["kind"]
        found.setdefault(version, []).append(
            {
                "name": kind.lower() + "s",
                "singularName": kind.lower(),
                "kind": kind,
                "namespaced": "namespace" in one["metadata"],
                "verbs": ["create"],
            }
        )
    lists = {
        f"/api/{version}" if version == "v1" else f"/apis/{version}": {
            "kind": "APIResourceList",
            "groupVersion": version,
            "resources": resources,
        }
        for version, resources in found.items()
    }
    named = [version.split("/") for version in found if "/" in version]
    pages = lists | {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [
                {"name": group, "versions": [{"groupVersion": f"{group}/{v}", "version": v}]}
                for group, v in named
            ],
        },
    }
    page = pages.get(_.target.partition("?")[0])
    if page is None:
        return Answer(status=404)
    body = json.dumps(page).encode()
    return Answer(body=body, headers=(("Content-Type", "application/json"),))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_would_create_it_all(tmp_path: Path) -> None:
    """Its dry run on the client side; what kinds there are it asks the API in any case."""
    with Downstream(groups) as api:
        command = ["kubectl", "-s", f"http://127.0.0.1:{api.port}", "--cache-dir", str(tmp_path)]
        dry = ["create", "--dry-run=client", "--validate=false", "-o", "name"]
        files = [word for file in MANIFESTS for word in ("-f", str(file))]
        running = subprocess.Popen(
            [*command, *dry, *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        with gevent.Timeout(60):
            shown, complaint = running.communicate()
        assert (running.returncode, complaint) == (0, "")
        asked = {request.method for request in api.requests}
    assert asked == {"GET"}
    assert sorted(line.rpartition("/")[0].partition(".")[0] for line in shown.splitlines()) == (
        sorted(one["kind"].lower() for one in OBJECTS)
    )


# --- Docker ---


def test_the_image_copies_what_there_is_and_starts_what_is_built() -> None:
    """There is no engine here to build it: paths and commands are looked at one by one."""
    text = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.*) (\S+)$", text, re.MULTILINE)
    assert len(copied) == 4
    for sources, _ in copied:
        for source in sources.split():
            assert (ROOT / source).exists(), source
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[0])
    assert entry == ["/opt/meshproxy/bin/meshproxy"]
    assert json.loads(re.findall(r"^CMD (.*)$", text, re.MULTILINE)[0]) == [copied[-1][1]]
    assert re.search(r"^USER \d+", text, re.MULTILINE)


def test_the_image_opens_the_routers_of_its_configuration_and_not_the_admin_port() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    (edit,) = re.findall(
        r"^RUN sed -i '(.*)' /etc/meshproxy/config.yaml$", dockerfile, re.MULTILINE
    )
    edited = subprocess.run(
        ["sed", edit, str(ROOT / "conf/egress.yaml")], capture_output=True, text=True, check=True
    )
    config = load(edited.stdout, "config.yaml")
    assert [server.ip for one in config.routers for server in one.servers] == ["0.0.0.0"] * 2
    assert config.admin.ip == "127.0.0.1"


def test_the_health_check_of_the_image_runs(tmp_path: Path) -> None:
    text = (ROOT / "Dockerfile").read_text()
    _, flag, code = json.loads(re.findall(r"^HEALTHCHECK .*?CMD (.*)$", text, re.MULTILINE)[0])
    assert "127.0.0.1:9990/live" in code
    with Downstream(lambda _: b"live") as admin:
        here = code.replace("9990", str(admin.port))
        with Daemon([sys.executable, flag, here], tmp_path / "log") as check:
            assert gevent.spawn(check.process.wait, 20).get() == 0
        assert [one.target for one in admin.requests] == ["/live"]
    with Daemon([sys.executable, flag, here], tmp_path / "log") as check:
        assert gevent.spawn(check.process.wait, 20).get() == 1
