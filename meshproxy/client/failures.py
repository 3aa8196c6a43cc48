"""Translates what sockets, ssl and urllib3 raise on the way to an endpoint into our errors.

The client's edge for errors: nothing else between a request and an endpoint translates them.
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
"""Matches the name of a received alert in OpenSSL's text (RFC 8446 section 6.2)."""
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
    "insufficient security": "no cipher in common that it considers secure",
    "unrecognized name": "it does not know the name: see commonName",
    "no application protocol": "it does not speak the protocol asked for: see protocol",
}
"""Alerts that refuse us for good, with hints on what to do."""
_FAULTS: Final = frozenset({"internal error", "user canceled", "user cancelled"})
"""Alerts that say nothing about us."""


def no_connection(error: Exception, server_name: str | None) -> ProxyError:
    """Returns the error of a failed connect: NoDescriptor, TlsFailed or ConnectFailed.

    Args:
        error: from the socket, ssl, or urllib3, which compares the names of certificates.
        server_name: the name that the certificate must be for.
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
    why = in_words(error) if alert is None else _with_hint(alert)
    return TlsFailed(f"TLS to {server_name or 'the endpoint'} failed: {why}")


def no_answer(error: OSError, doing: str, *, nothing_sent: bool) -> ProxyError:
    """Returns the error before the first byte of a response: NoResponse, or TlsFailed for an alert.

    Under TLS 1.3 an endpoint may refuse us only after our side of the handshake is over.
    """
    refused = refusal(error)
    if refused is not None:
        return refused
    failure = NoResponse(f"connection lost {doing}: {in_words(error)}")
    failure.nothing_sent = nothing_sent
    return failure


def cut(error: OSError) -> ProxyError:
    """Returns the error within a response head: ConnectionClosed, or TlsFailed for an alert."""
    return refusal(error) or ConnectionClosed(f"connection lost: {in_words(error)}")


def refusal(error: OSError) -> TlsFailed | None:
    """Returns TlsFailed for an alert that refuses us, None for any other error."""
    alert = _alert(error)
    if alert not in _REFUSALS:
        return None
    return TlsFailed(f"TLS failed after the handshake: {_with_hint(alert)}")


def _alert(error: Exception) -> str | None:
    """Returns the name of the alert that *error* reports, None for any other error."""
    found = _ALERT.fullmatch(in_words(error)) if isinstance(error, ssl.SSLError) else None
    return found and found[1]


def _with_hint(alert: str) -> str:
    hint = _REFUSALS.get(alert)
    return f"the endpoint's alert is `{alert}`" + (f", {hint}" if hint else "")
