"""TLS of servers and of clients (linkerd: linkerd/tls/.../, config keys since 1.0)."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from meshproxy.config.decode import Config, Problem, RegularFile, Severity, key
from meshproxy.config.pem import why_no_certificates, why_no_key

Protocol = Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]

_CIPHER_SIGNS = "!-+@"
"""First characters of an entry that only changes a list of ciphers."""
_CLIENT_FORMER = "since Linkerd 1.0 write disableValidation, commonName, trustCertsBundle"


def _weak(protocols: tuple[Protocol, ...] | None) -> Iterable[Problem]:
    for protocol in protocols or ():
        if protocol in ("TLSv1", "TLSv1.1"):
            what = f"{protocol} is not secure, use TLSv1.2 or later"
            yield Problem(what, "protocols", Severity.WARNING)


def _without_certificates(name: str, path: str | None) -> Iterable[Problem]:
    if path is not None and (what := why_no_certificates(path)):
        yield Problem(what, name)


def _unknown(ciphers: tuple[str, ...]) -> Iterable[Problem]:
    if ciphers and not _are_ciphers(":".join(ciphers)):
        what = "OpenSSL can use none of these, write names such as ECDHE-RSA-AES128-GCM-SHA256"
        yield Problem(what, "ciphers")
        return
    for index, name in enumerate(ciphers):
        if name[:1] not in _CIPHER_SIGNS and not _are_ciphers(name):
            what = f"{name} has no effect: OpenSSL does not know it, or TLSv1.3 has it in any case"
            yield Problem(what, f"ciphers[{index}]", Severity.WARNING)


def _are_ciphers(text: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(text)
    except ssl.SSLError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateConfig(Config):
    """A certificate and its key."""

    cert_path: RegularFile = key(doc="The certificate, PEM.")
    key_path: RegularFile = key(doc="Its private key, PEM.")
    intermediate_certs_path: RegularFile | None = key(default=None, doc="The rest of the chain.")

    def check(self) -> Iterable[Problem]:
        """Yields problems of the files that exist: certificates, and the key of the first one."""
        found = list(_without_certificates("certPath", self.cert_path))
        if not found and (what := why_no_key(self.cert_path, self.key_path)):
            found.append(Problem(what, "keyPath"))
        return [
            *found,
            *_without_certificates("intermediateCertsPath", self.intermediate_certs_path),
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTlsConfig(CertificateConfig):
    """TLS of a listening socket."""

    former: ClassVar = {
        "enabled": "a server with tls always speaks TLS, remove it",
        "kind": "remove it",
    }

    require_client_auth: bool = key(default=False, doc="Require a certificate of clients.")
    ca_cert_path: RegularFile | None = key(
        default=None, doc="The authority of clients' certificates; with `requireClientAuth` only."
    )
    ciphers: tuple[str, ...] | None = key(default=None, doc="Cipher suites.")
    protocols: tuple[Protocol, ...] | None = key(default=None, doc="Versions, such as TLSv1.2.")

    def check(self) -> Iterable[Problem]:
        """Yields problems of its files, its ciphers, weak versions, and an unused authority."""
        yield from CertificateConfig.check(self)
        yield from _unknown(self.ciphers or ())
        yield from _weak(self.protocols)
        if self.require_client_auth:
            yield from _without_certificates("caCertPath", self.ca_cert_path)
        elif self.ca_cert_path is not None:
            what = "has no effect without requireClientAuth: true"
            yield Problem(what, "caCertPath", Severity.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAuthConfig(CertificateConfig):
    """The certificate that a client presents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTlsConfig(Config):
    """TLS towards endpoints."""

    former: ClassVar = {
        "kind": _CLIENT_FORMER,
        "caCertPath": "since Linkerd 1.0 it is trustCertsBundle",
        "names": "since Linkerd 1.0 write a client config per prefix with its commonName",
    }

    enabled: bool = key(default=True, doc="`false` undoes the tls of an earlier match.")
    disable_validation: bool = key(default=False, doc="Accept any certificate.")
    common_name: str | None = key(
        default=None,
        doc="The name sent (SNI) and verified; `{x}` is what the prefix captured.",
    )
    trust_certs_bundle: RegularFile | None = key(
        default=None, doc="Authorities to trust, PEM; the system's when unset."
    )
    trust_certs: tuple[RegularFile, ...] | None = key(
        default=None, doc="The same as several files; deprecated."
    )
    client_auth: ClientAuthConfig | None = key(default=None, doc="Our own certificate.")
    protocols: tuple[Protocol, ...] | None = key(default=None, doc="Versions, such as TLSv1.2.")
    allow_common_name: bool = key(
        default=False,
        added=True,
        doc="Accept a certificate that has a common name and no subjectAltName.",
    )

    def check(self) -> Iterable[Problem]:
        """Yields contradictions; those that fail only when a client is built are warnings."""
        yield from _weak(self.protocols)
        if self.disable_validation and self.client_auth is not None:
            yield Problem("is incompatible with clientAuth, remove one", "disableValidation")
        elif self.disable_validation and self.enabled:
            what = "lets anybody be the endpoint, set it for tests only"
            yield Problem(what, "disableValidation", Severity.WARNING)
        if self.trust_certs is not None:
            what = "is deprecated, put the certificates into one file: trustCertsBundle"
            yield Problem(what, "trustCerts", Severity.WARNING)
        if not self.enabled or self.disable_validation:
            return
        yield from _without_certificates("trustCertsBundle", self.trust_certs_bundle)
        if self.trust_certs_bundle is None:
            for index, path in enumerate(self.trust_certs or ()):
                yield from _without_certificates(f"trustCerts[{index}]", path)
        if self.common_name is None:
            what = "is needed to validate, without it every request here fails"
            yield Problem(what, "commonName", Severity.WARNING)
        if self.trust_certs is not None and self.trust_certs_bundle is not None:
            what = "cannot go with trustCertsBundle, every request here fails; use the bundle alone"
            yield Problem(what, "trustCerts", Severity.WARNING)
