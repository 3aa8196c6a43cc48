"""What sockets, ssl and urllib3 raise on the way to an endpoint, as errors of ours.

The client's edge for errors: nothing else between a request and an endpoint translates.
"""

import errno
import re
import ssl
from typing import Final

from meshproxy.errors import (
    ConnectFailed,
    ConnectionClosed,
    NoDescriptor,
    NoResponse,
    ProxyError,
    TlsFailed,
)
from meshproxy.wording import in_words

_NO_DESCRIPTOR: Final = frozenset({errno.EMFILE, errno.ENFILE})
_ALERT: Final = re.compile(r"(?:sslv3|tlsv1|tlsv13|ssl/tls) (?:alert )?(.+)")
"""How OpenSSL names an alert it received (RFC 8446 section 6.2)."""
_OUR_CERTIFICATE: Final = "it does not accept our certificate, or demands one: see clientAuth"
_REFUSALS: Final = {
    "certificate required": "it demands a certificate of ours: see clientAuth",
    "handshake failure": "no cipher in common, or it demands a certificate of ours: see clientAuth",
    "no certificate": _OUR_CERTIFICATE,
    "bad certificate": _OUR_CERTIFICATE,
    "unsupported certificate": _OUR_CERTIFICATE,
    "certificate revoked": _OUR_CERTIFICATE,
    "certificate expired": _OUR_CERTIFICATE,
    "certificate unknown": _OUR_CERTIFICATE,
    "unknown ca": _OUR_CERTIFICATE,
    "access denied": _OUR_CERTIFICATE,
    "protocol version": "no version of TLS in common: see protocols",
    "insufficient security": "no cipher in common that it calls secure",
    "unrecognized name": "it does not know the name: see commonName",
    "no application protocol": "it does not speak HTTP/1.1 here",
}
"""Alerts that refuse us, and would the next time, with what may be done about them."""
_FAULTS: Final = frozenset({"internal error", "user canceled", "user cancelled"})
"""Alerts that say nothing about us."""


def no_connection(error: Exception, server_name: str | None) -> ProxyError:
    """What connecting came to: NoDescriptor, TlsFailed if TLS is refused, else ConnectFailed.

    Args:
        error: of the socket, of ssl, or of urllib3, which compares the names of certificates.
        server_name: the name that the certificate has to be for.
    """
    if isinstance(error, OSError) and error.errno in _NO_DESCRIPTOR:
        return NoDescriptor("the proxy is out of file descriptors")
    if isinstance(error, ssl.SSLEOFError):
        return ConnectFailed("the endpoint ended the connection within the TLS handshake")
    if not isinstance(error, ssl.SSLError | ValueError):
        return ConnectFailed(in_words(error))
    alert = _alert(error)
    if alert in _FAULTS:
        return ConnectFailed(f"the endpoint failed in the TLS handshake: {alert}")
    why = in_words(error) if alert is None else _told(alert)
    return TlsFailed(f"TLS to {server_name or 'the endpoint'} failed: {why}")


def no_answer(error: OSError, doing: str, *, nothing_sent: bool) -> ProxyError:
    """What an exchange came to before a byte of response: NoResponse, or TlsFailed for an alert.

    Under TLS 1.3 an endpoint learns only after our handshake that it refuses us.
    """
    refused = refusal(error)
    if refused is not None:
        return refused
    silent = NoResponse(f"connection lost {doing}: {in_words(error)}")
    silent.nothing_sent = nothing_sent
    return silent


def cut(error: OSError) -> ProxyError:
    """What an exchange came to within a response's head: ConnectionClosed, or TlsFailed."""
    return refusal(error) or ConnectionClosed(f"connection lost: {in_words(error)}")


def refusal(error: OSError) -> TlsFailed | None:
    """Returns what an alert that refuses us comes to, None for any other error."""
    alert = _alert(error)
    if alert not in _REFUSALS:
        return None
    return TlsFailed(f"TLS failed after the handshake: {_told(alert)}")


def _alert(error: Exception) -> str | None:
    """Returns the alert that *error* is about, None for any other error."""
    found = _ALERT.fullmatch(in_words(error)) if isinstance(error, ssl.SSLError) else None
    return found and found[1]


def _told(alert: str) -> str:
    hint = _REFUSALS.get(alert)
    return f"the endpoint's alert is `{alert}`" + (f", {hint}" if hint else "")
