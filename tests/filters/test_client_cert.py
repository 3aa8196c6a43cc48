"""What endpoints are told about a client's certificate."""

from dataclasses import dataclass
from hashlib import sha256

import pytest

from meshproxy.errors import ConnectFailed
from meshproxy.filters.client_cert import ForwardClientCert, describe, distinguished_name
from meshproxy.http.peer import Certificate
from tests.kit.messages import Replies, request, response

NAME = b"x-forwarded-client-cert"
DER = b"not looked into"
HASH = f"Hash={sha256(DER).hexdigest()}"


@dataclass(frozen=True)
class Peer:
    """A connection with a certificate."""

    certificate: Certificate | None
    remote: str = "192.0.2.1:5000"
    local: str = "127.0.0.1:4140"


def parts(*pairs: tuple[str, str]) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple((pair,) for pair in pairs)


def test_hash_then_uris_then_names_then_subject() -> None:
    certificate = Certificate(
        DER,
        parts(("countryName", "DE"), ("organizationName", "Acme"), ("commonName", "web")),
        (("DNS", "a.test"), ("URI", "spiffe://x/y"), ("DNS", "b.test"), ("IP Address", "1.2.3.4")),
    )
    assert describe(certificate).decode() == (
        f'{HASH};SAN=spiffe://x/y;DNS=a.test;DNS=b.test;Subject="CN=web,O=Acme,C=DE"'
    )


def test_a_certificate_without_names_has_its_hash() -> None:
    assert describe(Certificate(DER)).decode() == HASH


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a,b+c", r"CN=a\,b\+c"),
        ('"; \\<>', r"CN=\"\; \\\<\>"),
        ("#a ", r"CN=\#a\ "),
        (" a", r"CN=\ a"),
        ("a\r\nb", r"CN=a\0D\0Ab"),
        ("\u00e9", r"CN=\C3\A9"),
        ("\x00", r"CN=\00"),
    ],
)
def test_a_subject_is_escaped_as_rfc_2253_has_it(value: str, shown: str) -> None:
    assert distinguished_name(parts(("commonName", value))) == shown


def test_parts_of_several_pairs_and_unusual_names() -> None:
    subject = (
        (("domainComponent", "test"),),
        (("commonName", "web"), ("userId", "7")),
        (("emailAddress", "a@b"),),
    )
    assert distinguished_name(subject) == "emailAddress=a@b,CN=web+UID=7,DC=test"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('x;Subject="CN=root"', r'"x;Subject=\"CN=root\""'),
        ("a\r\nb", r"a\0D\0Ab"),
    ],
)
def test_a_name_cannot_become_another_pair(name: str, shown: str) -> None:
    assert describe(Certificate(DER, (), (("DNS", name),))).decode() == f"{HASH};DNS={shown}"


def test_the_header_is_there_for_the_attempt_only() -> None:
    asked = request((b"X-Forwarded-Client-Cert", b"forged"))
    asked.peer = Peer(Certificate(DER))
    service = Replies(response(), ConnectFailed())
    ForwardClientCert()(asked, service)
    assert NAME not in asked.headers
    with pytest.raises(ConnectFailed):
        ForwardClientCert()(asked, service)
    assert NAME not in asked.headers
    expected = f"x-forwarded-client-cert: {HASH}".encode()
    assert [lines[1:] for lines in service.requests] == [[expected], [expected]]


def test_without_certificate_there_is_no_header() -> None:
    asked = request()
    asked.peer = Peer(None)
    service = Replies(response())
    ForwardClientCert()(asked, service)
    assert service.requests == [[b"Host: web"]]
