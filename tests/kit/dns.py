"""A DNS server of a script: real UDP and TCP sockets on one loopback port, any fault on demand."""

import struct
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import gevent
from gevent import socket
from gevent.event import Event

from .closing import Closing

Fault = Literal[
    "servfail", "refused", "stall", "garbage", "wrong id", "wrong question", "truncate",
    "truncate both", "tcp hangs up", "forged first",
]  # fmt: skip


@dataclass
class DnsServer(Closing):
    """Answers from `records`; a name without any does not exist, and says so with an SOA if it may.

    Faults go by name, or by name and record type, in `faults`; they hold until removed.
    """

    negative_ttl: int | None = 1
    """None: negative answers come without SOA, as dnsmasq's do."""
    records: dict[str, list[tuple[str, int, str]]] = field(default_factory=dict)
    faults: dict[str | tuple[str, str], Fault] = field(default_factory=dict)
    asked: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """How often each (name, type, "udp" or "tcp") was asked."""

    on_question: Callable[[bytes, tuple[str, int]], object] = lambda _wire, _peer: None
    """Sees each UDP question and where it came from, before it is answered."""

    def __post_init__(self) -> None:
        self._news = Event()
        self._udp, self._tcp = _both_sockets()
        self.host, self.port = self._udp.getsockname()
        self._greenlets = [gevent.spawn(self._serve_udp), gevent.spawn(self._serve_tcp)]

    def close(self) -> None:
        """Vanish: later questions meet a closed port."""
        gevent.killall(self._greenlets)
        self._udp.close()
        self._tcp.close()

    def put(self, name: str, *values: str, ttl: int = 60, kind: str | None = None) -> None:
        """Let *name* have these records and no others of their *kind*, A or AAAA by default."""
        kinds = [kind or ("AAAA" if ":" in value else "A") for value in values]
        kept = [each for each in self.records.get(name, []) if each[0] not in kinds]
        new = [(kind, ttl, value) for kind, value in zip(kinds, values, strict=True)]
        self.records[name] = kept + new

    def remove(self, name: str) -> None:
        """Let *name* not exist."""
        self.records.pop(name, None)

    def wait_asked(self, name: str, kind: str, times: int, transport: str = "udp") -> None:
        """Wait until the question has come *times* in all."""
        with gevent.Timeout(10):
            while self.asked[name, kind, transport] < times:
                self._news.clear()
                self._news.wait()

    def _serve_udp(self) -> None:
        while True:
            wire, peer = self._udp.recvfrom(65535)
            self.on_question(wire, peer)
            answer = self._answer(wire, "udp")
            if answer is None:
                continue
            if "forged first" in self.faults.values():
                self._udp.sendto(bytes([answer[0] ^ 255]) + answer[1:], peer)
                self._udp.sendto(wire, peer)
                self._udp.sendto(b"short", peer)
            self._udp.sendto(answer, peer)

    def _serve_tcp(self) -> None:
        while True:
            sock, _peer = self._tcp.accept()
            with sock:
                (length,) = struct.unpack("!H", sock.recv(2))
                answer = self._answer(sock.recv(length), "tcp")
                if answer is not None:
                    sock.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, wire: bytes, transport: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text(omit_final_dot=True)
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked[name, kind, transport] += 1
        self._news.set()
        reply = self._reply(query, name, kind)
        fault = self.faults.get((name, kind)) or self.faults.get(name)
        is_udp = transport == "udp"
        match fault:
            case "stall":
                return None
            case "garbage":
                return wire[:2] + b"\x80\x00" + b"\xff" * 40
            case "servfail" | "refused":
                reply = dns.message.make_response(query)
                reply.set_rcode(dns.rcode.SERVFAIL if fault == "servfail" else dns.rcode.REFUSED)
            case "wrong id":
                reply.id ^= 1
            case "wrong question":
                reply.question = dns.message.make_query("other.test", kind).question
            case "tcp hangs up" if not is_udp:
                return None
            case "truncate" | "truncate both" | "tcp hangs up":
                if is_udp or fault == "truncate both":
                    reply.answer = []
                    reply.flags |= dns.flags.TC
        return _to_wire(reply, 512 if is_udp else 65535)

    def _reply(self, query: dns.message.Message, name: str, kind: str) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        seen = set()
        while name not in seen:
            seen.add(name)
            for each in ("CNAME", kind):
                found = [(ttl, value) for k, ttl, value in self.records.get(name, []) if k == each]
                if found:
                    values = [value for _, value in found]
                    rrset = dns.rrset.from_text_list(f"{name}.", found[0][0], "IN", each, values)
                    reply.answer.append(rrset)
            targets = [value for k, _, value in self.records.get(name, []) if k == "CNAME"]
            name = targets[0].removesuffix(".") if targets else name
        if name not in self.records:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        if not reply.answer and self.negative_ttl is not None:
            soa = f"ns.test. host.test. 1 3600 600 86400 {self.negative_ttl}"
            reply.authority.append(dns.rrset.from_text(".", 3600, "IN", "SOA", soa))
        return reply


def _to_wire(reply: dns.message.Message, limit: int) -> bytes:
    wire = reply.to_wire(max_size=65535)
    if len(wire) > limit:
        reply.answer = []
        reply.flags |= dns.flags.TC
        wire = reply.to_wire()
    return wire


def _both_sockets() -> tuple[socket.socket, socket.socket]:
    """A UDP and a listening TCP socket on the same free port."""
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            tcp.bind(udp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
            continue
        tcp.listen()
        return udp, tcp
