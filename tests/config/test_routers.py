import pytest

from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.routers import RouterConfig
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.path import Path
from meshproxy.protocols.http import HttpRouterConfig

SMALLEST = "protocol: http\nservers: [{}]\n"


def read(text: str) -> tuple[HttpRouterConfig | None, list[str]]:
    findings = Findings("f")
    config = decode(RouterConfig, parse(text, findings), findings)
    assert config is None or isinstance(config, HttpRouterConfig)
    return config, [str(error) for error in findings.found]


def router(text: str) -> HttpRouterConfig:
    config, errors = read(text)
    assert errors == []
    assert config is not None
    return config


def test_the_defaults_are_linkerds() -> None:
    config = router(SMALLEST)
    assert config.name == "http"
    assert config.dst_prefix == Path.of("svc")
    assert config.binding_timeout_ms == 10_000
    assert config.max_headers_kb == 8
    assert config.max_initial_line_kb == 4
    assert config.stream_after_content_length_kb == 5
    assert config.interpreter_or_default().kind == "default"
    assert [one.kind for one in config.identifiers()] == ["io.l5d.header.token"]


def test_a_label_names_the_router() -> None:
    assert router(SMALLEST + "label: /in").name == "/in"


def test_dtab_and_prefix_are_parsed() -> None:
    config = router(SMALLEST + "dstPrefix: /host\ndtab: |\n  /svc => /a ; # why\n  /svc => /b ;\n")
    assert config.dtab == Dtab.parse("/svc => /a; /svc => /b")
    assert config.dst_prefix == Path.of("host")


@pytest.mark.parametrize(
    "identifier",
    ["{kind: io.l5d.path}", "[{kind: io.l5d.path}]"],
)
def test_one_identifier_needs_no_list(identifier: str) -> None:
    config = router(f"{SMALLEST}identifier: {identifier}\n")
    assert [one.kind for one in config.identifiers()] == ["io.l5d.path"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("protocol: http\n", "f:1:1: servers: router 'http' has no servers, write at least one"),
        (
            SMALLEST + "identifier: []\n",
            "f:3:1: identifier: empty identifier list, write one or remove the key",
        ),
        (
            SMALLEST + "streamingEnabled: false\n",
            "f:3:1: streamingEnabled: false is not supported yet, write true or remove it",
        ),
        (
            SMALLEST + "compressionLevel: 10\n",
            "f:3:19: compressionLevel: 10 is too large, at most 9",
        ),
        (
            SMALLEST + "tracePropagator: {kind: io.l5d.zip}\n",
            "f:3:19: tracePropagator.kind: 'io.l5d.zip' is unknown, did you mean io.l5d.zipkin?",
        ),
        (
            SMALLEST + "httpAccessLogRollPolicy: 10.parsecs\n",
            "f:3:1: httpAccessLogRollPolicy: '10.parsecs' is not a roll policy, write never, ",
        ),
        (
            SMALLEST + "httpAccessLogFormat: xml\n",
            "f:3:22: httpAccessLogFormat: 'xml' is not known, known here: combined, json",
        ),
        (
            SMALLEST + "announcers: [{kind: io.l5d.serversets, zkAddrs: []}]\n",
            "f:3:40: announcers[0].zkAddrs: names no server, write at least one",
        ),
        (
            SMALLEST + "interpreter: {transformers: []}\n",
            "f:3:14: interpreter.kind: is missing, write one of: default, io.l5d.",
        ),
        ("protocol: mux\n", "f:1:1: protocol: mux is not supported yet, use one of: h2, http"),
        ("protocol: htp\n", "f:1:1: protocol: 'htp' is unknown, did you mean http?"),
        (SMALLEST + "dtab: /a => b\n", "f:3:7: dtab: "),
        (SMALLEST + "dstPrefix: svc\n", "f:3:12: dstPrefix: "),
        (SMALLEST + "baseDtab: /a=>/b\n", "f:3:1: baseDtab: unknown key, since Linkerd 0.9 it is"),
        (SMALLEST + "maxRequestKB: 5\n", "f:3:1: maxRequestKB: unknown key, removed from Linkerd"),
        (SMALLEST + "maxCallDepth: 5\n", "f:3:1: maxCallDepth: unknown key, it belongs under"),
    ],
)
def test_what_is_wrong_is_said(text: str, error: str) -> None:
    config, errors = read(text)
    assert config is None
    assert len(errors) == 1
    assert errors[0].startswith(error)


def test_the_access_log_is_linkerds_by_default() -> None:
    config = router(SMALLEST)
    assert config.http_access_log is None
    assert config.http_access_log_roll_policy == "never"
    assert (config.http_access_log_append, config.http_access_log_rotate_count) == (True, -1)
    assert config.http_access_log_format == "combined"


@pytest.mark.parametrize("level", [-1, 0, 9])
def test_every_compression_level_of_linkerd_is_accepted(level: int) -> None:
    assert router(f"{SMALLEST}compressionLevel: {level}\n").compression_level == level


def test_experimental_is_accepted_with_a_note() -> None:
    config, errors = read(SMALLEST + "experimental: true\n")
    assert config is not None
    assert errors == ["f:3:1: experimental: is not needed here"]
