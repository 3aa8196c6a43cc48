"""Connects through parent proxies: CONNECT to the first that serves (RFC 9110 section 9.3.6)."""

import errno
import re
import socket
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Final

import gevent
import gevent.socket

from meshproxy.config.secrets import basic_credentials
from meshproxy.config.upstream_proxy import UpstreamProxyConfig
from meshproxy.discovery.hostname import literal, why_refused
from meshproxy.errors import LoopDetected, ProxyError
from meshproxy.http.headers import of
from meshproxy.metrics.tree import Tree
from meshproxy.naming.addr import (
    Addr,
    AddrBound,
    Address,
    AddrFailed,
    AddrPending,
    NamedAddress,
    settled,
)
from meshproxy.var import Ok, Var, wait
from meshproxy.wording import in_words

Resolve = Callable[[str, str], Var[Addr]]
"""Returns the addresses for the texts of a host and a port."""
OpenSocket = Callable[[Address], gevent.socket.socket]
"""Connects to an address. Raises OSError."""

REST_SECONDS: Final = 10.0
"""For this long, a parent that could not be reached is tried after the others."""
_MOST_HEAD: Final = 16_384
_END: Final = b"\r\n\r\n"
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: ([^\r\n]*))?\r\n")
_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL})
"""Errors before anything was sent, that another parent would not mend."""


class ParentRefused(ProxyError):
    """A parent proxy does not let the connection through."""

    reason = "parent_refused"


class NoParent(OSError):
    """No parent serves, for the reasons in the text."""


class UpstreamProxy:
    """The parents of one client. *refuses* says why an address must not be connected to."""

    def __init__(
        self,
        config: UpstreamProxyConfig,
        resolve: Resolve,
        refuses: Callable[[Address], str | None],
        metrics: Tree,
    ) -> None:
        self._parents = config.addresses
        self._or_direct = config.or_direct
        path = config.credentials_file
        self._credentials = basic_credentials(path) if path is not None else None
        self._resolve = resolve
        self._refuses = refuses
        self._rested_at: dict[str, float] = {}
        """The monotonic second from which each parent is as good as the others again."""
        scope = metrics.scope("upstream_proxy")
        self._failures = scope.counter("failures")
        self._refusals = scope.counter("refusals")
        self._direct = scope.counter("direct")

    @property
    def tries(self) -> int:
        """Most connections that one request waits for, one after the other."""
        return len(self._parents) + self._or_direct

    def connect(
        self, address: Address, via: Sequence[bytes], seconds: float, open_socket: OpenSocket
    ) -> gevent.socket.socket:
        """Returns a socket that leads to *address*, by one of the parents within *seconds* each.

        *via* is what the request says of the way it came. Raises ParentRefused, LoopDetected and
        OSError.
        """
        request = self._request(address, via)
        why = []
        for parent in sorted(self._parents, key=self._is_resting):
            try:
                return _within(seconds, partial(self._ask, parent, request, open_socket))
            except OSError as error:
                if error.errno in _OURS or _is_of_another_timeout(error):
                    raise
                self._failures.value += 1
                why.append(f"{parent}: {in_words(error)}")
            except (ParentRefused, LoopDetected):
                self._refusals.value += 1
                raise
        for direct in address.reached if self._or_direct else ():
            try:
                sock = _within(seconds, partial(open_socket, direct))
            except OSError as error:
                if error.errno in _OURS or _is_of_another_timeout(error):
                    raise
                why.append(f"directly to {direct.host}: {in_words(error)}")
            else:
                self._direct.value += 1
                return sock
        raise NoParent(f"no parent proxy serves: {'; '.join(why)}")

    def _is_resting(self, parent: str) -> bool:
        return monotonic() < self._rested_at.get(parent, 0.0)

    def _request(self, address: Address, via: Sequence[bytes]) -> bytes:
        host = f"[{address.host}]" if ":" in address.host else address.host
        authority = f"{host}:{address.port}".encode("ascii")
        headers = of((b"Host", authority), *((b"Via", value) for value in via))
        if self._credentials is not None:
            headers.add(b"Proxy-Authorization", self._credentials.value)
        return b"\r\n".join([b"CONNECT %b HTTP/1.1" % authority, *headers.lines, b"", b""])

    def _ask(self, parent: str, request: bytes, open_socket: OpenSocket) -> gevent.socket.socket:
        try:
            sock = self._reach(parent, open_socket)
        except OSError:
            self._rested_at[parent] = monotonic() + REST_SECONDS
            raise
        self._rested_at.pop(parent, None)
        try:
            sock.sendall(request)
            status, reason = _answer(sock)
        except BaseException:
            sock.close()
            raise
        if 200 <= status < 300:
            return sock
        sock.close()
        answered = f"{status} {reason}".rstrip()
        if status == LoopDetected.status:
            raise LoopDetected(f"Loop detected: the parent proxy {parent} responds with {answered}")
        if status >= 500:
            raise OSError(f"its response is {answered}")
        hint = ""
        if status == 407:
            wants = "its user and password are" if self._credentials else "user:password belong"
            hint = f"; {wants} in credentialsFile"
        raise ParentRefused(f"The parent proxy {parent} refuses the connection: {answered}{hint}")

    def _reach(self, parent: str, open_socket: OpenSocket) -> gevent.socket.socket:
        """Connects to one of the addresses of *parent*. Raises OSError."""
        host, _, port = parent.rpartition(":")
        state = wait(self._resolve(host.strip("[]"), port).map(settled), REST_SECONDS)
        addr = state.value if isinstance(state, Ok) else None
        if not isinstance(addr, AddrBound) or not addr.addresses:
            why = addr.why if isinstance(addr, AddrFailed) else "it has no address"
            raise OSError(why)
        failed = OSError("it has no address")
        for address in sorted(addr.addresses, key=lambda one: (":" in one.host, one.host)):
            if what := self._refuses(address):
                raise OSError(what)
            try:
                return open_socket(address)
            except OSError as error:
                if error.errno in _OURS or isinstance(error, TimeoutError):
                    raise
                failed = error
        raise failed


def by_name(addr: Addr, host: str, port: int) -> Addr:
    """Returns the address of *host* as parents are told it, with what our own look-up found.

    A host that is no proper name stays as *addr* has it: a parent might take it for an address.
    """
    if isinstance(addr, AddrPending) or not _is_proper(host):
        return addr
    found = addr.addresses if isinstance(addr, AddrBound) else frozenset()
    authority = addr.authority if isinstance(addr, AddrBound) else None
    return AddrBound(frozenset({NamedAddress(host, port, found=found)}), authority)


def _is_proper(host: str) -> bool:
    return literal(host) is not None or why_refused(host) is None


def _within(seconds: float, connect: Callable[[], gevent.socket.socket]) -> gevent.socket.socket:
    """Returns what *connect* does. Raises _TooLate after *seconds*."""
    with gevent.Timeout(seconds, _TooLate(f"no answer within {seconds:g} s")):
        return connect()


class _TooLate(TimeoutError):
    """One parent took too long."""


def _is_of_another_timeout(error: OSError) -> bool:
    """Returns True if *error* ends the whole request's time, rather than that for one parent."""
    return isinstance(error, TimeoutError) and error.errno is None and type(error) is not _TooLate


def _answer(sock: gevent.socket.socket) -> tuple[int, str]:
    """Reads the final response head, and no byte beyond it. Raises OSError."""
    while True:
        head = _head(sock)
        found = _STATUS.match(head)
        if found is None:
            raise OSError("it does not speak HTTP/1.x")
        status = int(found[1])
        if status >= 200:
            return status, (found[2] or b"").decode("latin-1")[:100]


def _head(sock: gevent.socket.socket) -> bytes:
    data = b""
    while not data.endswith(_END):
        seen = sock.recv(_MOST_HEAD - len(data), socket.MSG_PEEK) if len(data) < _MOST_HEAD else b""
        if not seen:
            raise OSError("it hung up" if len(data) < _MOST_HEAD else "its response has no end")
        end = (data + seen).find(_END)
        wanted = len(seen) if end < 0 else end + len(_END) - len(data)
        data += sock.recv(wanted)
    return data
