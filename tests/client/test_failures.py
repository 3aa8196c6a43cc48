"""What the socket, ssl and urllib3 raise, and what it becomes."""

import errno
import ssl

import pytest
from urllib3.util.ssl_match_hostname import CertificateError

from meshproxy.client.failures import cut, no_answer, no_connection
from meshproxy.errors import (
    ConnectFailed,
    ConnectionClosed,
    NoDescriptor,
    NoResponse,
    ProxyError,
    TlsFailed,
)


def alert(text: str) -> ssl.SSLError:
    """Return the error that ssl raises for the alert *text* of OpenSSL."""
    name = text.upper().replace(" ", "_")
    return ssl.SSLError(1, f"[SSL: {name}] {text} (_ssl.c:1006)")


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
LOST = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        pytest.param(REFUSED, ConnectFailed, "Connection refused", id="refused"),
        pytest.param(LOST, ConnectFailed, "Connection reset by peer", id="reset in the handshake"),
        pytest.param(
            ssl.SSLEOFError(8, "EOF occurred in violation of protocol (_ssl.c:1006)"),
            ConnectFailed,
            "the endpoint ended the connection within the TLS handshake",
            id="cut in the handshake",
        ),
        pytest.param(
            alert("tlsv1 alert internal error"),
            ConnectFailed,
            "the endpoint failed in the TLS handshake: internal error",
            id="an alert about the endpoint itself",
        ),
        pytest.param(
            OSError(errno.EMFILE, "Too many open files"),
            NoDescriptor,
            "the proxy is out of file descriptors",
            id="no descriptor",
        ),
        pytest.param(
            ssl.SSLCertVerificationError(
                1,
                "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
                "certificate has expired (_ssl.c:1006)",
            ),
            TlsFailed,
            "TLS to a.test failed: certificate verify failed: certificate has expired",
            id="verification",
        ),
        pytest.param(
            CertificateError("hostname 'a.test' doesn't match 'b.test'"),
            TlsFailed,
            "TLS to a.test failed: hostname 'a.test' doesn't match 'b.test'",
            id="another name",
        ),
        pytest.param(
            alert("wrong version number"),
            TlsFailed,
            "TLS to a.test failed: wrong version number",
            id="no TLS at all",
        ),
        pytest.param(
            alert("sslv3 alert handshake failure"),
            TlsFailed,
            "TLS to a.test failed: the endpoint's alert is `handshake failure`, "
            "no cipher in common, or it demands a certificate of ours: see clientAuth",
            id="a certificate is missing, TLS 1.2",
        ),
        pytest.param(
            alert("ssl/tls alert unknown ca"),
            TlsFailed,
            "TLS to a.test failed: the endpoint's alert is `unknown ca`, "
            "it does not accept our certificate, or demands one: see clientAuth",
            id="as OpenSSL 3.2 writes it",
        ),
        pytest.param(
            alert("tlsv13 alert missing extension"),
            TlsFailed,
            "TLS to a.test failed: the endpoint's alert is `missing extension`",
            id="an alert without advice",
        ),
        pytest.param(
            ValueError("server_hostname cannot be an empty string or start with a leading dot."),
            TlsFailed,
            "TLS to a.test failed: server_hostname cannot be an empty string or start with a "
            "leading dot.",
            id="a name that cannot be sent",
        ),
    ],
)
def test_why_there_is_no_connection(error: Exception, kind: type[ProxyError], text: str) -> None:
    found = no_connection(error, "a.test")
    assert (type(found), str(found)) == (kind, text)


@pytest.mark.parametrize("nothing_sent", [False, True])
def test_a_connection_lost_before_an_answer(nothing_sent: bool) -> None:
    found = no_answer(LOST, "while sending", nothing_sent=nothing_sent)
    assert isinstance(found, NoResponse)
    assert found.nothing_sent is nothing_sent
    assert str(found) == "connection lost while sending: Connection reset by peer"


def test_an_endpoint_may_refuse_us_after_the_handshake() -> None:
    text = (
        "TLS failed after the handshake: the endpoint's alert is `certificate required`, "
        "it demands a certificate of ours: see clientAuth"
    )
    required = alert("tlsv13 alert certificate required")
    for found in (no_answer(required, "while sending", nothing_sent=True), cut(required)):
        assert (type(found), str(found)) == (TlsFailed, text)


@pytest.mark.parametrize("error", [LOST, alert("sslv3 alert bad record mac")])
def test_any_other_end_within_a_response_is_a_lost_connection(error: OSError) -> None:
    found = cut(error)
    assert type(found) is ConnectionClosed
    assert str(found).startswith("connection lost: ")
    assert "_ssl" not in str(found)
