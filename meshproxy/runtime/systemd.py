"""Integration with systemd: sockets passed by it, and states reported to it.

sd_listen_fds(3) and sd_notify(3), without their library.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping, MutableMapping

import gevent.socket

_log = logging.getLogger(__name__)
_FIRST = 3
"""The descriptor of the first socket."""


def inherited_sockets(
    environ: MutableMapping[str, str],
) -> tuple[dict[tuple[str, int], gevent.socket.socket], dict[tuple[str, int], str]]:
    """Returns the listening TCP sockets passed to this process, and their names, by address.

    Any other descriptor passed is closed and logged. The variables are removed, so that no child
    process takes them for its own.
    """
    count, pid = environ.pop("LISTEN_FDS", "0"), environ.pop("LISTEN_PID", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    found: dict[tuple[str, int], gevent.socket.socket] = {}
    named: dict[tuple[str, int], str] = {}
    if pid != str(os.getpid()) or not count.isdecimal():
        return found, named
    for index in range(int(count)):
        name = names[index] if index < len(names) else "unknown"
        sock = gevent.socket.socket(fileno=_FIRST + index)
        if not _listens(sock):
            _log.warning("socket %s from systemd does not listen on TCP, closed", name)
            sock.close()
            continue
        sock.set_inheritable(False)
        host, port = sock.getsockname()[:2]
        found[host, port] = sock
        named[host, port] = name
    return found, named


def close_unused(
    sockets: MutableMapping[tuple[str, int], gevent.socket.socket],
    names: Mapping[tuple[str, int], str],
) -> None:
    """Closes the rest of *sockets*, and logs each by name."""
    for (host, port), sock in sockets.items():
        name = names[host, port]
        _log.warning("closed socket %s of systemd, %s port %d: no server uses it", name, host, port)
        sock.close()
    sockets.clear()


class Notifier:
    """Reports the state of this process to the manager at NOTIFY_SOCKET, if that is set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path

    def ready(self) -> None:
        """Reports that it serves, for the first time or again after a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Reports that it reads its configuration again; `ready` follows in any case."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Reports that it is about to end."""
        self._send("STOPPING=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.sendto(state.encode(), self._address)
        except OSError as error:
            _log.warning("systemd was not told %s: %s", state.partition("=")[0], error)


def _listens(sock: gevent.socket.socket) -> bool:
    try:
        is_tcp = (
            sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
        )
        return is_tcp and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
