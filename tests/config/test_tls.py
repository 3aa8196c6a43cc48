import pytest

from meshproxy.config.decode import Config, decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings, Severity
from meshproxy.config.tls import ClientTlsConfig, ServerTlsConfig

FILE = __file__


def notes(cls: type[Config], text: str) -> dict[str, Severity]:
    """Say what is noted about each path of *text*."""
    findings = Findings("f")
    decode(cls, parse(text, findings), findings)
    return {error.path: error.severity for error in findings.found}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("commonName: x", {}),
        ("disableValidation: true", {"disableValidation": Severity.WARNING}),
        ("disableValidation: true\nenabled: false", {}),
        ("enabled: false", {}),
        ("trustCertsBundle: ", {"commonName": Severity.WARNING}),
        ("commonName: x\nprotocols: [TLSv1.2, TLSv1.3]", {}),
        ("commonName: x\nprotocols: [TLSv1.1]", {"protocols": Severity.WARNING}),
        ("commonName: x\nprotocols: [TLSv1.4]", {"protocols[0]": Severity.ERROR}),
        (f"commonName: x\ntrustCerts: [{FILE}]", {"trustCerts": Severity.WARNING}),
        (
            f"commonName: x\ntrustCerts: [{FILE}]\ntrustCertsBundle: {FILE}",
            {"trustCerts": Severity.WARNING},
        ),
        ("commonName: x\ntrustCertsBundle: /none", {"trustCertsBundle": Severity.MISSING}),
        (
            f"disableValidation: true\nclientAuth: {{certPath: {FILE}, keyPath: {FILE}}}",
            {"disableValidation": Severity.ERROR},
        ),
        (f"commonName: x\nclientAuth: {{certPath: {FILE}, keyPath: {FILE}}}", {}),
        (
            f"commonName: x\nclientAuth: {{keyPath: {FILE}}}",
            {"clientAuth.certPath": Severity.ERROR},
        ),
        ("commonName: x\nkind: io.l5d.static", {"kind": Severity.ERROR}),
        ("commonName: x\ncaCertPath: y", {"caCertPath": Severity.ERROR}),
    ],
)
def test_tls_of_clients(text: str, expected: dict[str, Severity]) -> None:
    text = "{\n}" if text == "trustCertsBundle: " else text
    assert notes(ClientTlsConfig, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("requireClientAuth: true\ncaCertPath: " + FILE, {}),
        ("caCertPath: " + FILE, {"caCertPath": Severity.WARNING}),
        ("ciphers: [ECDHE-RSA-AES128-GCM-SHA256]\nprotocols: [TLSv1.3]", {}),
        ("protocols: [TLSv1]", {"protocols": Severity.WARNING}),
        ("enabled: true", {"enabled": Severity.ERROR}),
        ("intermediateCertsPath: /none", {"intermediateCertsPath": Severity.MISSING}),
    ],
)
def test_tls_of_servers(text: str, expected: dict[str, Severity]) -> None:
    assert notes(ServerTlsConfig, f"certPath: {FILE}\nkeyPath: {FILE}\n{text}") == expected


def test_a_server_needs_a_certificate_and_its_key() -> None:
    assert notes(ServerTlsConfig, "requireClientAuth: true") == {
        "certPath": Severity.ERROR,
        "keyPath": Severity.ERROR,
    }
