"""One DNS question to one server over gevent's own sockets (RFC 1035 section 4.2, RFC 7766).

dnspython builds and reads the messages; native resolver calls, which would block every greenlet,
are never made. Questions carry no EDNS, so an answer above 512 bytes comes over TCP.
"""

import os
import struct
import time
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from gevent import socket

from meshproxy.naming.services import ServiceRecord
from meshproxy.wording import in_words

RecordType = Literal["A", "AAAA", "SRV"]

MAX_RECORDS: Final = 256
_MAX_CHAIN: Final = 16
_MAX_AUTHORITY: Final = 16
_HEADER: Final = struct.Struct("!HHHHHH")
_LENGTH: Final = struct.Struct("!H")


class QueryFailed(Exception):
    """No usable answer: a timeout, REFUSED, SERVFAIL, a malformed message, a CNAME loop."""


class UnexpectedCode(QueryFailed):
    """The server only reported a failure."""


class Server(NamedTuple):
    """A name server's address."""

    host: str
    port: int = 53

    @classmethod
    def parse(cls, text: str) -> "Server":
        """Reads `address`, `address:port` or `[v6]:port`, which must be well formed."""
        if text.startswith("["):
            host, _, port = text[1:].partition("]")
        elif text.count(":") == 1:
            host, _, port = text.partition(":")
        else:
            host, port = text, ""
        return cls(host, int(port.removeprefix(":") or 53))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The addresses or services of a name; having none is also an answer."""

    addresses: tuple[str, ...] = ()
    services: tuple[ServiceRecord, ...] = ()
    """The services, if those were asked for."""
    ttl_s: float
    name_exists: bool = True
    is_partial: bool = False
    """True if only one address family answered."""


class QueryDeadline:
    """A deadline *seconds* from now on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Returns the seconds left. Raises QueryFailed if there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise QueryFailed("timed out")
        return left


def ask(
    server: Server, name: str, record: RecordType, timeout_s: float, no_soa_ttl_s: float = 0.0
) -> Answer:
    """Asks *server* for the *record* type of the absolute *name*. Raises QueryFailed.

    That includes no answer within *timeout_s*. A negative answer without an SOA record has no TTL;
    *no_soa_ttl_s* is used then (RFC 2308 section 5).
    """
    deadline = QueryDeadline(timeout_s)
    try:
        query = dns.message.make_query(
            dns.name.from_text(f"{name}."), record, id=int.from_bytes(os.urandom(2), "big")
        )
        wire = _over_udp(server, query, deadline)
        if _HEADER.unpack_from(wire)[1] & dns.flags.TC:
            wire = _over_tcp(server, query, deadline)
        return _answer(_read(wire, query), no_soa_ttl_s)
    except QueryFailed as failure:
        raise type(failure)(f"{server.host}: {failure}") from failure
    except TimeoutError as error:
        raise QueryFailed(f"{server.host}: timed out") from error
    except (OSError, dns.exception.DNSException) as error:
        raise QueryFailed(f"{server.host}: {in_words(error)}") from error


def _over_udp(server: Server, query: dns.message.Message, deadline: QueryDeadline) -> bytes:
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(server)
        sock.send(query.to_wire())
        while True:
            sock.settimeout(deadline.remaining())
            wire: bytes = sock.recv(65535)
            if _is_ours(wire, query):
                return wire


def _over_tcp(server: Server, query: dns.message.Message, deadline: QueryDeadline) -> bytes:
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(deadline.remaining())
        sock.connect(server)
        wire = query.to_wire()
        sock.sendall(_LENGTH.pack(len(wire)) + wire)
        (length,) = _LENGTH.unpack(_receive(sock, _LENGTH.size, deadline))
        wire = _receive(sock, length, deadline)
    if not _is_ours(wire, query):
        raise QueryFailed("answered another question")
    return wire


def _receive(sock: socket.socket, size: int, deadline: QueryDeadline) -> bytes:
    received = bytearray()
    while len(received) < size:
        sock.settimeout(deadline.remaining())
        part = sock.recv(size - len(received))
        if not part:
            raise QueryFailed("the connection ended inside the answer")
        received += part
    return bytes(received)


def _is_ours(wire: bytes, query: dns.message.Message) -> bool:
    """Returns True for a response with our id; anything else may be an attacker's guess."""
    if len(wire) < _HEADER.size:
        return False
    identity, flags, *_ = _HEADER.unpack_from(wire)
    return bool(identity == query.id and flags & dns.flags.QR)


def _read(wire: bytes, query: dns.message.Message) -> dns.message.Message:
    """Parses *wire*, but not its records beyond the bounds, since parsing them is slow."""
    identity, flags, questions, answers, authorities, _ = _HEADER.unpack_from(wire)
    kept = min(answers, MAX_RECORDS + _MAX_CHAIN)
    authorities = min(authorities, _MAX_AUTHORITY) if kept == answers else 0
    head = _HEADER.pack(identity, flags, min(questions, 2), kept, authorities, 0)
    try:
        reply = dns.message.from_wire(head + wire[_HEADER.size :], ignore_trailing=True)
    except (ValueError, LookupError, struct.error) as error:
        raise QueryFailed(f"unreadable answer: {error}") from error
    if not query.is_response(reply):
        raise QueryFailed("answered another question")
    return reply


def _answer(reply: dns.message.Message, no_soa_ttl_s: float) -> Answer:
    code = reply.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise UnexpectedCode(dns.rcode.to_text(code))
    if reply.flags & dns.flags.TC or not isinstance(reply, dns.message.QueryMessage):
        raise QueryFailed("truncated, or no answer to a query")
    chain = reply.resolve_chaining()
    records = tuple(chain.answer or ())[:MAX_RECORDS]
    has_ttl = chain.answer is not None or _has_soa(reply, chain.canonical_name)
    return Answer(
        addresses=tuple(one.address for one in records if one.rdtype != dns.rdatatype.SRV),
        services=tuple(_service(one) for one in records if one.rdtype == dns.rdatatype.SRV),
        ttl_s=float(chain.minimum_ttl) if has_ttl else no_soa_ttl_s,
        name_exists=code == dns.rcode.NOERROR,
    )


def _service(record: Any) -> ServiceRecord:
    target: dns.name.Name = record.target
    return ServiceRecord(
        record.priority, record.weight, target.to_text(omit_final_dot=True), record.port
    )


def _has_soa(reply: dns.message.Message, name: dns.name.Name) -> bool:
    """Returns True if *reply* has the SOA record of the zone that *name* is in."""
    return any(
        rrset.rdtype == dns.rdatatype.SOA and name.is_subdomain(rrset.name)
        for rrset in reply.authority
    )
