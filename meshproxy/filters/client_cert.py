"""Passes the client's certificate to endpoints in `x-forwarded-client-cert`.

linkerd: router/base-http/.../ForwardClientCertFilter.scala; RFC 2253 for the subject.
"""

import re
from functools import lru_cache
from hashlib import sha256

from meshproxy.http import l5d
from meshproxy.http.message import Request, Response
from meshproxy.http.peer import Certificate
from meshproxy.service import Service

_SHORT_NAMES = {
    "commonName": "CN",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
_SPECIAL = re.compile(r'^[ #]|[,+"\\<>;]| $')
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
_NEEDS_QUOTES = re.compile(r'[,;="\\ ]')


class ForwardClientCert:
    """Adds the certificate of the client's connection for one attempt.

    A field of that name from a client is removed at the server's edge already.
    """

    def __call__(self, request: Request, service: Service[Request, Response]) -> Response:
        """Serves with the field set, or without one if the client presented no certificate."""
        certificate = request.peer.certificate if request.peer is not None else None
        if certificate is None:
            return service(request)
        headers = request.headers
        headers.set(l5d.FORWARDED_CLIENT_CERT, describe(certificate))
        try:
            return service(request)
        finally:  # another attempt may use a client that must not see it
            headers.remove(l5d.FORWARDED_CLIENT_CERT)


@lru_cache(maxsize=1024)
def describe(certificate: Certificate) -> bytes:
    """Returns the header's value, `Hash=...;SAN=<uri>;DNS=<name>;Subject="..."`, all ASCII."""
    parts = [f"Hash={sha256(certificate.der).hexdigest()}"]
    for kind, label in (("URI", "SAN"), ("DNS", "DNS")):
        parts += [f"{label}={_value(name)}" for known, name in certificate.names if known == kind]
    if subject := distinguished_name(certificate.subject):
        parts.append(f'Subject="{subject}"')
    return ";".join(parts).encode("ascii")


def distinguished_name(subject: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    r"""Returns *subject* in the form of RFC 2253: last part first, unusual bytes as `\XX`."""
    return ",".join(
        "+".join(f"{_SHORT_NAMES.get(name, name)}={_escaped(value)}" for name, value in part)
        for part in reversed(subject)
    )


def _escaped(value: str) -> str:
    return _hex_escaped(_SPECIAL.sub(lambda match: "\\" + match[0], value))


def _hex_escaped(value: str) -> str:
    return _UNPRINTABLE.sub(
        lambda match: "".join(
            f"\\{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape")
        ),
        value,
    )


def _value(name: str) -> str:
    """Returns *name*, quoted if it could be read as more than one pair."""
    if _NEEDS_QUOTES.search(name):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _hex_escaped(name)
