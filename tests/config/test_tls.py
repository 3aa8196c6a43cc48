from pathlib import Path

import pytest

from meshproxy.config.decode import Config, decode
from meshproxy.config.document import parse
from meshproxy.config.errors import Findings, Severity
from meshproxy.config.tls import ClientTlsConfig, ServerTlsConfig
from tests.kit.certs import Certs

CERT, KEY, CA, TEXT = "/CERT", "/KEY", "/CA", "/TEXT"
"""Stand for files of these kinds."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("tls")
    certs = Certs(directory)
    chain, own_key = certs.files("a.test")
    text = directory / "text"
    text.write_text("nothing of the kind\n")
    return {CERT: chain, KEY: own_key, CA: certs.bundle, TEXT: text}


def notes(cls: type[Config], text: str, files: dict[str, Path]) -> dict[str, Severity]:
    """Say what is noted about each path of *text*."""
    for name, file in files.items():
        text = text.replace(name, str(file))
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
        (f"commonName: x\ntrustCerts: [{CA}]", {"trustCerts": Severity.WARNING}),
        (
            f"commonName: x\ntrustCerts: [{TEXT}]\ntrustCertsBundle: {CA}",
            {"trustCerts": Severity.WARNING},
        ),
        ("commonName: x\ntrustCertsBundle: /none", {"trustCertsBundle": Severity.MISSING}),
        (
            f"disableValidation: true\nclientAuth: {{certPath: {CERT}, keyPath: {KEY}}}",
            {"disableValidation": Severity.ERROR},
        ),
        (f"commonName: x\nclientAuth: {{certPath: {CERT}, keyPath: {KEY}}}", {}),
        (
            f"commonName: x\nclientAuth: {{keyPath: {KEY}}}",
            {"clientAuth.certPath": Severity.ERROR},
        ),
        (
            f"commonName: x\ntrustCerts: [{CA}, {TEXT}]",
            {"trustCerts": Severity.WARNING, "trustCerts[1]": Severity.ERROR},
        ),
        (f"commonName: x\ntrustCertsBundle: {TEXT}", {"trustCertsBundle": Severity.ERROR}),
        (f"enabled: false\ntrustCertsBundle: {TEXT}", {}),
        (
            f"commonName: x\nclientAuth: {{certPath: {CERT}, keyPath: {CERT}}}",
            {"clientAuth.keyPath": Severity.ERROR},
        ),
        ("commonName: x\nkind: io.l5d.static", {"kind": Severity.ERROR}),
        ("commonName: x\ncaCertPath: y", {"caCertPath": Severity.ERROR}),
    ],
)
def test_tls_of_clients(files: dict[str, Path], text: str, expected: dict[str, Severity]) -> None:
    text = "{\n}" if text == "trustCertsBundle: " else text
    assert notes(ClientTlsConfig, text, files) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("requireClientAuth: true\ncaCertPath: " + CA, {}),
        ("caCertPath: " + CA, {"caCertPath": Severity.WARNING}),
        ("ciphers: [ECDHE-RSA-AES128-GCM-SHA256]\nprotocols: [TLSv1.3]", {}),
        ("protocols: [TLSv1]", {"protocols": Severity.WARNING}),
        ("enabled: true", {"enabled": Severity.ERROR}),
        ("intermediateCertsPath: /none", {"intermediateCertsPath": Severity.MISSING}),
        (f"intermediateCertsPath: {KEY}", {"intermediateCertsPath": Severity.ERROR}),
        (f"requireClientAuth: true\ncaCertPath: {TEXT}", {"caCertPath": Severity.ERROR}),
        ("ciphers: [nonsense, TLS_AES_128_GCM_SHA256]", {"ciphers": Severity.ERROR}),
        (
            "ciphers: [ECDHE-RSA-AES128-GCM-SHA256, nonsense, '!aNULL']",
            {"ciphers[1]": Severity.WARNING},
        ),
    ],
)
def test_tls_of_servers(files: dict[str, Path], text: str, expected: dict[str, Severity]) -> None:
    text = f"certPath: {CERT}\nkeyPath: {KEY}\n{text}"
    assert notes(ServerTlsConfig, text, files) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "requireClientAuth: true",
            {"certPath": Severity.ERROR, "keyPath": Severity.ERROR},
        ),
        (f"certPath: {TEXT}\nkeyPath: {TEXT}", {"certPath": Severity.ERROR}),
        (f"certPath: {CERT}\nkeyPath: {TEXT}", {"keyPath": Severity.ERROR}),
        (
            f"certPath: /none\nkeyPath: {TEXT}\nintermediateCertsPath: {TEXT}",
            {"certPath": Severity.MISSING, "intermediateCertsPath": Severity.ERROR},
        ),
    ],
)
def test_a_server_needs_a_certificate_and_its_key(
    files: dict[str, Path], text: str, expected: dict[str, Severity]
) -> None:
    assert notes(ServerTlsConfig, text, files) == expected
