"""One SSLContext for each distinct client `tls` block, made on first use and then shared.

Loading the system's certificate authorities is expensive; a context holds no name, so every name of
a prefix shares it (linkerd: linkerd/core/.../TlsClientConfig.scala).
"""

import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gevent.socket
from gevent.ssl import SSLSocket

from meshproxy.config.pem import load_chain
from meshproxy.config.watched import Watched, watched_files
from meshproxy.errors import TlsFailed
from meshproxy.net.tls_socket import TlsSocket
from meshproxy.wording import in_words

_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True)
class ClientAuth:
    """The certificate for servers that request one; paths of PEM files."""

    cert_path: str
    key_path: str
    intermediate_certs_path: str | None = None


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What a context depends on; equal settings share a context."""

    verify: bool = True
    trust: tuple[str, ...] = ()
    """PEM files of trusted authorities; if empty, the system's, with SSL_CERT_FILE respected."""
    auth: ClientAuth | None = None
    protocols: tuple[str, ...] = ()
    alpn: tuple[str, ...] = ("http/1.1",)
    """The protocols offered (RFC 7301), in the order of preference."""
    allow_common_name: bool = False

    def files(self) -> list[str]:
        """Returns the paths of all its files."""
        own = self.auth
        chain = (own.cert_path, own.intermediate_certs_path, own.key_path) if own else ()
        return [*self.trust, *filter(None, chain)]


class ResumingSocket(gevent.socket.socket):  # type: ignore[misc] # gevent has no types
    """A socket to an endpoint, with the TLS session to resume: urllib3 has no parameter for it."""

    resumes: ssl.SSLSession | None = None


class _Context(ssl.SSLContext):
    """A context whose protocols (ALPN) stay as they are; urllib3 sets its own on every connect."""

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """Does nothing; see `offer`."""

    def offer(self, protocols: Sequence[str]) -> None:
        """Sets the protocols."""
        super().set_alpn_protocols(protocols)

    def wrap_socket(  # type: ignore[override] # urllib3 asks for nothing else
        self, sock: gevent.socket.socket, *, server_hostname: str | None = None
    ) -> TlsSocket | ssl.SSLSocket:
        """Makes the handshake; on a `ResumingSocket` it resumes the session, if the server can."""
        if not isinstance(sock, ResumingSocket):
            return super().wrap_socket(sock, server_hostname=server_hostname)
        wrapped = TlsSocket(sock, self, server_name=server_hostname, resumes=sock.resumes)
        wrapped.shake_hands()
        return wrapped


class _ClosingSocket(SSLSocket):  # type: ignore[misc] # gevent has no types
    """Closes itself if the handshake fails; the ssl module does for errors of the socket only."""

    def __init__(self, sock: Any, **more: Any) -> None:
        try:
            super().__init__(sock, **more)
        except BaseException:
            if sock.fileno() < 0:  # its descriptor is ours by then
                self.close()
            raise


def context(settings: TlsSettings) -> Watched[ssl.SSLContext]:
    """Returns the context of *settings*, shared while in use. Raises TlsFailed for bad files."""
    try:
        return watched_files.take(settings, settings.files(), partial(_make, settings))
    except OSError as error:
        raise _unusable(settings, error) from error


def present_context(settings: TlsSettings) -> Watched[ssl.SSLContext]:
    """Returns the same, made of the present files. Raises TlsFailed if they are bad."""
    found = context(settings)
    found.refresh()
    if found.failure is not None:
        raise _unusable(settings, found.failure) from found.failure
    return found


def _unusable(settings: TlsSettings, error: Exception) -> TlsFailed:
    files = ", ".join(settings.files())
    return TlsFailed(f"cannot use the client's TLS files ({files}): {in_words(error)}")


def _make(settings: TlsSettings) -> ssl.SSLContext:
    made = _Context(ssl.PROTOCOL_TLS_CLIENT)
    made.sslsocket_class = _ClosingSocket
    made.check_hostname = False  # urllib3 compares the name after the handshake, before any data
    made.verify_mode = ssl.CERT_REQUIRED if settings.verify else ssl.CERT_NONE
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT  # so that all versions of Python accept the same
    made.hostname_checks_common_name = settings.allow_common_name
    limit_protocol(made, settings.protocols)
    made.offer(settings.alpn)
    if settings.verify:
        for path in settings.trust:
            made.load_verify_locations(cafile=path)
        if not settings.trust:
            made.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if settings.auth is not None:
        own = settings.auth
        load_chain(made, own.cert_path, own.key_path, own.intermediate_certs_path)
    return made


def limit_protocol(made: ssl.SSLContext, protocols: tuple[str, ...]) -> None:
    """Allows the versions from the lowest to the highest of *protocols*; default: TLS 1.2 up.

    A peer may not renegotiate, as one that never ended would block what is sent (RFC 9113 9.2.1).
    """
    made.options |= ssl.OP_NO_RENEGOTIATION
    wanted = sorted(_VERSIONS[name] for name in protocols if name in _VERSIONS)
    made.minimum_version = wanted[0] if wanted else ssl.TLSVersion.TLSv1_2
    if wanted:
        made.maximum_version = wanted[-1]
