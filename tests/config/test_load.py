"""Whole files: what is loaded, what is refused, and where the reader is pointed to."""

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.load import load, read
from meshproxy.protocols.http import HttpRouterConfig

LINKERD = Path(__file__).parent.parent / "corpus" / "configs" / "linkerd"

SMALL = "routers:\n- protocol: http\n  servers: [{port: 0}]\n"


def lines(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        read(text, "f")
    return str(caught.value).splitlines()


@pytest.fixture
def linkerd_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the directories and files that Linkerd's examples name."""
    (tmp_path / "linkerd" / "examples" / "io.l5d.fs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POD_IP", "127.0.0.1")
    return tmp_path


@pytest.mark.parametrize("file", sorted(LINKERD.glob("*.yaml")), ids=lambda file: file.stem)
@pytest.mark.usefixtures("linkerd_tree")
def test_linkerds_own_files_load(file: Path) -> None:
    loaded = read(file.read_text(), file.name)
    assert loaded.config.routers


@pytest.mark.parametrize("kind", ["aperture", "ewma", "heap", "p2c", "roundRobin"])
@pytest.mark.usefixtures("linkerd_tree")
def test_linkerds_example_of_balancers_loads_with_every_kind(kind: str) -> None:
    written = (LINKERD / "linkerd-loadbalancer.yaml").read_text()
    text = written.replace("kind: p2c", f"kind: {kind}")
    if kind == "heap":
        text = text.replace("      maxEffort: 10\n", "")
    router = read(text, "f").config.routers[0]
    assert isinstance(router, HttpRouterConfig)
    [(_, settings)] = router.client.rules
    assert settings.load_balancer is not None
    assert settings.load_balancer.kind == kind
    assert getattr(settings.load_balancer, "max_effort", 10) == 10


@pytest.mark.usefixtures("linkerd_tree")
def test_a_config_map_is_the_same_as_what_it_holds() -> None:
    inner = read((LINKERD / "linkerd-egress.yaml").read_text(), "f").config
    outer = read((LINKERD / "linkerd-egress-manifest.yaml").read_text(), "f").config
    assert outer == inner


def manifest(inner: str, *, header: str = "config.yaml: |-") -> str:
    body = "".join(f"    {line}\n" for line in inner.splitlines())
    return f"apiVersion: v1\nkind: ConfigMap\ndata:\n  {header}\n{body}---\nkind: Service\n"


def test_places_in_a_config_map_are_those_of_the_outer_file() -> None:
    assert lines(manifest("routers:\n- protocl: http\n"))[0].startswith("f:6:7: routers[0].protocl")
    assert lines(manifest("\n\nadmin: {prt: 1}\n" + SMALL))[0].startswith("f:7:13: admin.prt")
    assert lines(manifest('{"routers": []}'))[0].startswith("f:5:6: routers: At least one router")


def test_a_config_map_may_hold_a_document_that_is_marked() -> None:
    assert read(manifest("---\n" + SMALL), "f").config == read(SMALL, "f").config
    (line,) = lines(manifest("---\nadmin: {prt: 1}\n" + SMALL))
    assert line.startswith("f:6:13: admin.prt")


def test_a_config_map_holds_one_document() -> None:
    (line,) = lines(manifest(SMALL + "---\nadmin: {port: 1}\n"))
    assert line.startswith("f:8:5: a second document begins here")


def test_a_quoted_config_map_is_read_too() -> None:
    text = 'kind: ConfigMap\napiVersion: v1\ndata: {config.yaml: "routers:\\n- protocol: http\\n'
    text += '  servers: [{port: 0}]"}\n'
    assert read(text, "f").config == read(SMALL, "f").config
    (line,) = lines(text.replace("port", "prt"))
    assert line.startswith("f:3:63: routers[0].servers[0].prt")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("apiVersion: v1\nkind: Service\n", "a Kubernetes object"),
        ("apiVersion: v1\nkind: ConfigMap\ndata: {other: x}\n", "a Kubernetes object"),
        ("storage: {kind: io.l5d.inMemory}\n", "a file of Namerd"),
        ("interfaces: []\n", "a file of Namerd"),
        ("routers: [{label: x, servers: [{dstName: /svc}]}]\n", "a file of linkerd-tcp"),
    ],
)
def test_files_of_others_are_refused_by_name(text: str, what: str) -> None:
    (line,) = lines(text)
    assert line.startswith(f"f:1:1: {what}")


def test_yaml_and_json_mean_the_same() -> None:
    json = '{"routers": [{"protocol": "http",\t"servers": [{"port": 0}]}]}'
    assert read(json, "f").config == read(SMALL, "f").config


def test_a_list_is_not_a_configuration() -> None:
    assert lines("- a\n") == ["f:1:1: expected a mapping, found a list"]


def test_duplicate_keys_and_other_errors_are_said_together() -> None:
    assert lines("routers:\n- protocol: http\n  label: a\n  label: b\n  prot: c\n") == [
        "f:4:3: routers[0].label: duplicate key, it is also on line 3, remove one of them",
        "f:5:3: routers[0].prot: unknown key, did you mean protocol?",
    ]


def test_loading_refuses_files_that_do_not_exist_and_reading_reports_them() -> None:
    tls = "tls: {certPath: /no/cert.pem, keyPath: /no/key.pem}"
    text = SMALL.replace("{port: 0}", f"{{port: 0, {tls}}}")
    missing = read(text, "f").missing
    assert [error.path for error in missing] == [
        "routers[0].servers[0].tls.certPath",
        "routers[0].servers[0].tls.keyPath",
    ]
    with pytest.raises(ConfigErrors) as caught:
        load(text, "f")
    assert caught.value.errors == missing


def test_loading_logs_warnings(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        config = load(SMALL + "usage: {orgId: me}\n", "f")
    assert isinstance(config.routers[0], HttpRouterConfig)
    (record,) = caplog.records
    assert record.getMessage().startswith("f:4:8: usage: has no effect")


def test_nothing_of_the_environment_is_substituted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "X", "y")
    text = SMALL.replace("protocol: http", "protocol: http\n  label: ${X}")
    assert read(text, "f").config.routers[0].name == "${X}"


ARTICLE = (LINKERD / "linkerd-egress-manifest.yaml").read_text()
FRAGMENTS = st.sampled_from(
    [
        "[",
        "{",
        "]",
        "}",
        ":",
        "- ",
        "&a ",
        "*a",
        "|",
        ">-",
        "'",
        '"',
        "\t",
        "---\n",
        "!!x ",
        "~",
        "%",
        "\n",
    ]
) | st.text(max_size=8)


@given(st.text())
def test_any_text_is_loaded_or_refused(text: str) -> None:
    assert_told(text)


@given(st.integers(0, 2000), st.integers(0, 20), FRAGMENTS)
def test_a_damaged_file_is_loaded_or_refused(start: int, cut: int, inserted: str) -> None:
    assert_told(ARTICLE[:start] + inserted + ARTICLE[start + cut :])


def assert_told(text: str) -> None:
    try:
        read(text, "f")
    except ConfigErrors as errors:
        places = [(error.mark.line, error.mark.column) for error in errors.errors]
        assert places
        assert all(line >= 1 and column >= 1 for line, column in places)
