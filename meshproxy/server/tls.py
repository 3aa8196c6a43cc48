"""The SSLContext of a listening socket (linkerd: linkerd/core/.../TlsServerConfig.scala)."""

import ssl
from collections.abc import Sequence
from functools import partial
from typing import Any

from meshproxy.client.tls import limit_protocol
from meshproxy.config.pem import load_chain
from meshproxy.config.tls import ServerTlsConfig
from meshproxy.config.watched import Watched, watched_files
from meshproxy.http.peer import Certificate
from meshproxy.net.stream import Stream
from meshproxy.net.tls import TlsStream


def server_context(
    config: ServerTlsConfig, alpn: Sequence[str] = ("http/1.1",)
) -> Watched[ssl.SSLContext]:
    """Returns the context of *config*, which offers *alpn*, the preferred protocol first.

    It is made of the present files and shared while in use. Raises ValueError with the files if
    they are unusable.
    """
    given = (config.cert_path, config.key_path, config.intermediate_certs_path, config.ca_cert_path)
    paths = [*filter(None, given)]
    try:
        found = watched_files.take((config, *alpn), paths, partial(_make, config, alpn))
        found.refresh()
        if found.failure is not None:
            raise found.failure
    except OSError as error:  # includes ssl.SSLError
        files = (config.cert_path, config.key_path, config.intermediate_certs_path)
        named = ", ".join(filter(None, (*files, config.ca_cert_path)))
        raise ValueError(f"cannot use the server's TLS files ({named}): {error}") from error
    return found


def _make(config: ServerTlsConfig, alpn: Sequence[str]) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    limit_protocol(made, config.protocols or ())
    if config.ciphers:
        made.set_ciphers(":".join(config.ciphers))
    load_chain(made, config.cert_path, config.key_path, config.intermediate_certs_path)
    if config.require_client_auth:
        made.verify_mode = ssl.CERT_REQUIRED
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if config.ca_cert_path is not None:
            made.load_verify_locations(cafile=config.ca_cert_path)
        else:
            made.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    made.set_alpn_protocols(list(alpn))
    return made


def peer_certificate(stream: Stream) -> Certificate | None:
    """Returns the certificate that the peer of *stream* presented; None if it presented none."""
    if not isinstance(stream, TlsStream):
        return None
    der = stream.secured.tls.getpeercert(binary_form=True)
    known: dict[str, Any] = stream.secured.tls.getpeercert() or {}
    if not der:
        return None
    names = (pair for pair in known.get("subjectAltName", ()) if isinstance(pair[1], str))
    return Certificate(der, tuple(known.get("subject", ())), tuple(names))
