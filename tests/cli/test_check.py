"""`meshproxy check`: it refuses what `serve` refuses, says all of it, and lets the rest pass."""

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.test_main import said
from tests.e2e.test_command import ROOT, run
from tests.e2e.test_routing import config
from tests.kit.certs import Certs
from tests.kit.downstream import Downstream

GONE = """\
admin: {ip: 127.0.0.1, port: 0}
namers:
- {kind: io.l5d.k8s.ns, envVar: UNSET_HERE}
- {kind: io.l5d.k8s, auth: kubeconfig, kubeconfig: no/kubeconfig}
- {kind: io.l5d.fs, rootDir: no/disco}
routers:
- protocol: http
  servers:
  - {port: 0, ip: 203.0.113.1, tls: {certPath: no/cert.pem, keyPath: no/key.pem}}
  client: {tls: {commonName: x, trustCertsBundle: no/bundle.pem}}
- protocol: http
  label: second
  interpreter:
    kind: default
    transformers:
    - {kind: io.l5d.localhost}
    - {kind: io.l5d.k8s.localnode}
  servers: [{port: 0}]
"""
PLACES = [
    "3:3: namers[0]: io.l5d.k8s.ns needs the environment variable UNSET_HERE",
    "4:52: namers[1].kubeconfig: no/kubeconfig is not a file in ",
    "5:30: namers[2].rootDir: no/disco is not a directory in ",
    "9:15: routers[0].servers[0].ip: this machine cannot listen on 203.0.113.1: Cannot assign",
    "9:48: routers[0].servers[0].tls.certPath: no/cert.pem is not a file in ",
    "9:70: routers[0].servers[0].tls.keyPath: no/key.pem is not a file in ",
    "10:51: routers[0].client.tls.trustCertsBundle: no/bundle.pem is not a file in ",
    "17:7: routers[1].interpreter.transformers[1]: io.l5d.k8s.localnode needs the environment ",
]


@pytest.fixture(autouse=True)
def without_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POD_IP", raising=False)


@pytest.fixture
def gone(tmp_path: Path) -> str:
    file = tmp_path / "gone.yaml"
    file.write_text(GONE)
    return str(file)


def test_all_that_is_not_on_this_machine_is_told_at_once(gone: str) -> None:
    ran = run("check", gone)
    assert (ran.returncode, ran.stdout) == (1, "")
    for line, place in zip(ran.stderr.splitlines(), PLACES, strict=True):
        assert line.startswith(f"{gone}:{place}")


def test_it_may_be_on_another_machine(gone: str) -> None:
    ran = run("check", "--allow-missing-files", gone)
    assert (ran.returncode, ran.stdout) == (0, "ok\n")
    for line, place in zip(ran.stderr.splitlines(), PLACES, strict=True):
        assert line.startswith(f"warning: {gone}:{place}")


def test_serve_refuses_the_same(gone: str) -> None:
    ran = run(gone)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == run("check", gone).stderr


@pytest.mark.parametrize(
    ("written", "instead", "place"),
    [
        ("port: 0}\nnamers", "port: x}\nnamers", "1:30: admin.port: expected an integer"),
        ("kind: default", "kind: defalt", "14:5: routers[1].interpreter.kind: 'defalt' is"),
        ("label: second", "dtab: /x", "12:9: routers[1].dtab: '=' expected"),
    ],
)
def test_what_is_wrong_anywhere_is_never_allowed_and_hides_no_file(
    capsys: pytest.CaptureFixture[str], gone: str, written: str, instead: str, place: str
) -> None:
    Path(gone).write_text(GONE.replace(written, instead))
    status, output, errors = said(capsys, "check", "--allow-missing-files", gone)
    assert (status, output) == (1, "")
    assert f"{gone}:{place}" in errors
    assert f"warning: {gone}:{PLACES[6]}" in errors


@pytest.mark.parametrize(
    ("more", "errors"),
    [
        ("", ["routers[0].servers[1].tls.certPath: TEXT holds no certificate in PEM"]),
        ("no/", ["routers[0].servers[1].tls.certPath: no/TEXT is not a file"]),
    ],
)
def test_a_file_that_is_here_must_be_of_use_in_any_case(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, more: str, errors: list[str]
) -> None:
    chain, own_key = Certs(tmp_path).files("a.test")
    (tmp_path / "TEXT").touch()
    second = f"{{port: 0, tls: {{certPath: {more}TEXT, keyPath: {own_key}}}}}"
    first = f"{{port: 0, tls: {{certPath: {chain}, keyPath: {own_key}}}}}"
    file = tmp_path / "tls.yaml"
    file.write_text(config(1).replace("{port: 0, ip: 127.0.0.1}", f"{first}\n  - {second}"))
    status, _, told = said(capsys, "check", "--allow-missing-files", str(file))
    assert status == (0 if more else 1)
    told = told.replace(f"{tmp_path}/TEXT", "TEXT")
    assert [error in told for error in errors] == [True] * len(errors)
    assert len(told.splitlines()) == len(errors)


def test_warnings_are_told_and_change_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "weak.yaml"
    file.write_text(config(1) + "usage: {orgId: x}\n")
    status, output, errors = said(capsys, "check", str(file))
    assert (status, output) == (0, "ok\n")
    assert errors.startswith(f"warning: {file}:")
    assert "usage: has no effect" in errors


def test_a_port_in_use_is_no_fault_of_the_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is in use by the very proxy whose next configuration is checked."""
    with Downstream(lambda _: b"") as other:
        file = tmp_path / "taken.yaml"
        file.write_text(config(1).replace("- {port: 0,", f"- {{port: {other.port},"))
        assert said(capsys, "check", str(file)) == (0, "ok\n", "")


@pytest.mark.parametrize("name", ["fs", "retries", "rewrite"])
def test_a_file_that_names_a_directory_beside_it_works_from_anywhere(name: str) -> None:
    ran = run("check", str(ROOT / f"conf/{name}.yaml"), cwd=Path("/"))
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "ok\n", "")


def test_names_that_cannot_bind_are_warned_of_with_their_places(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "names.yaml"
    file.write_text(
        "routers:\n- protocol: http\n  servers: [{port: 0}]\n  dtab: |\n"
        "    /srv => /#/io.l5d.k8s ;\n    /host => /$/inet/a/80 ;\n"
        "    /svc => /srv ;\n    /svc => /$/inet/a/80 ;\n"
    )
    status, output, errors = said(capsys, "check", str(file))
    assert (status, output) == (0, "ok\n")
    places = [":".join(line.split(":")[2:4]) for line in errors.splitlines()]
    assert places == ["5:5", "6:5", "7:5"]
    assert all(line.startswith(f"warning: {file}:") for line in errors.splitlines())


KINDS = yaml.safe_load((ROOT / "tests/corpus/configs/kinds.yaml").read_text())


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("is_json", [False, True], ids=["YAML", "JSON"])
def test_it_takes_every_kind_and_key_of_linkerd_s_examples(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    is_json: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POD_IP", "127.0.0.1")
    monkeypatch.setenv("NODE_NAME", "node")
    Certs(tmp_path).files("a.test")
    for directory in ("disco", "logs"):
        (tmp_path / directory).mkdir()
    (tmp_path / "disco" / "dtab").write_text("/svc => /#/io.l5d.fs ;\n")
    file = tmp_path / "config.yaml"
    config = {"admin": {"ip": "127.0.0.1", "port": 0}, **KINDS[name]}
    file.write_text(json.dumps(config) if is_json else yaml.safe_dump(config))
    status, _, errors = said(capsys, "check", str(file))
    assert status == 0, errors


def test_thrift_namerd_is_refused_with_what_serves_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.yaml"
    interpreter = "{kind: io.l5d.namerd, dst: /$/inet/localhost/4100, namespace: default}"
    file.write_text(
        f"routers:\n- protocol: http\n  interpreter: {interpreter}\n  servers: [{{port: 0}}]\n"
    )
    status, _, errors = said(capsys, "check", str(file))
    assert status == 1
    assert all(kind in errors for kind in ("io.l5d.namerd.http", "io.l5d.mesh"))
