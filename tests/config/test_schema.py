import pytest

from meshproxy.config.decode import decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings
from meshproxy.config.schema import AdminConfig, DnsConfig, LinkerConfig

ROUTERS = "routers: [{protocol: http, servers: [{}]}]\n"


def read(text: str) -> tuple[LinkerConfig | None, list[str]]:
    findings = Findings("f")
    config = decode(LinkerConfig, parse(ROUTERS + text, findings), findings)
    return config, [str(error).removeprefix("f:2:") for error in findings.found]


def test_the_admin_server_is_there_without_being_written() -> None:
    config, _ = read("")
    assert config is not None
    assert config.admin == AdminConfig()
    assert (config.admin.ip, config.admin.port) == ("127.0.0.1", 9990)
    assert config.admin.shutdown_grace_ms == 10_000


@pytest.mark.parametrize("text", ["namers:", "telemetry: []", "usage: {enabled: false}", "dns:"])
def test_what_is_empty_is_as_if_absent(text: str) -> None:
    config, errors = read(text)
    assert errors == []
    assert config is not None
    assert (config.namers, config.telemetry, config.dns) == ((), (), DnsConfig())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("usage: {orgId: me}", "8: usage: has no effect, meshproxy reports nothing to anyone"),
        ("admin: {workerThreads: 2}",
         "9: admin.workerThreads: has no effect, there are no threads to count"),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_accepted_with_a_note(text: str, error: str) -> None:
    config, errors = read(text)
    assert config is not None
    assert errors == [error]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("admin: {Port: 5}", "9: admin.Port: unknown key, did you mean port?"),
        ("tracers: []",
         "1: tracers: unknown key, since Linkerd 0.9 it is telemetry with io.l5d.zipkin"),
        ("telemetry: [{kind: io.l5d.statsd}]",
         "13: telemetry[0]: is experimental, write `experimental: true` to use it"),
        ("telemetry: [{kind: io.l5d.commonMetrics}]",
         "14: telemetry[0].kind: 'io.l5d.commonMetrics' is unknown, its metrics are always there"),
        ("namers: [{kind: io.l5d.k8s.istio, any: thing}]",
         "11: namers[0].kind: io.l5d.k8s.istio is not supported yet, use one of: "),
        ("admin: {hosts: [a.example.com, 'b:9990']}",
         "32: admin.hosts[1]: 'b:9990' is not a host name, write it as admin.example.com"),
        ("dns: {minTtlSecs: 400}", "7: dns.minTtlSecs: 400 is more than maxTtlSecs, 300"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(text: str, error: str) -> None:
    config, errors = read(text)
    assert config is None
    assert len(errors) == 1
    assert errors[0].startswith(error)


@pytest.mark.parametrize("address", ["10.0.0.2", "10.0.0.2:53", "'::1'", "'[::1]'", "'[::1]:5353'"])
def test_nameservers_are_addresses(address: str) -> None:
    assert read(f"dns: {{nameservers: [{address}]}}")[1] == []


@pytest.mark.parametrize(
    "address", ["ns1", "ns1:53", "10.0.0.2:0", "10.0.0.2:70000", "10.0.0.2:x", "10.1", "'[::1]x'"]
)
def test_other_nameservers_are_refused(address: str) -> None:
    config, (error,) = read(f"dns: {{nameservers: [127.0.0.1, {address}]}}")
    assert config is None
    assert "dns.nameservers[1]: " in error
    assert "is not an address" in error
