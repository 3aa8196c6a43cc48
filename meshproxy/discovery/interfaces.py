"""The IPv4 addresses of this machine's own interfaces, from Linux (netdevice(7))."""

import array
import fcntl
import socket
import struct
from typing import Final

_SIOCGIFCONF: Final = 0x8912
_SIOCGIFFLAGS: Final = 0x8913
_IFF_UP: Final = 1
_ROW: Final = 16 + 8 + 2 * struct.calcsize("P")
"""Bytes of a `struct ifreq`: the name, then a union as large as a device's memory map."""
_ROWS: Final = 1024


def up_addresses() -> frozenset[str]:
    """Returns every IPv4 address of every interface that is up. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        table = array.array("B", bytes(_ROW * _ROWS))
        where, size = table.buffer_info()
        answer = fcntl.ioctl(sock, _SIOCGIFCONF, struct.pack("iP", size, where))
        filled, _ = struct.unpack("iP", answer)
        rows = table.tobytes()[:filled]
        found = (
            (rows[at : at + 16], socket.inet_ntoa(rows[at + 20 : at + 24]))
            for at in range(0, len(rows), _ROW)
        )
        return frozenset(address for name, address in found if _is_up(sock, name))


def _is_up(sock: socket.socket, name: bytes) -> bool:
    """Returns True if the interface, or the one that its alias `eth0:1` belongs to, is up."""
    row = fcntl.ioctl(sock, _SIOCGIFFLAGS, name + bytes(_ROW - len(name)))
    (flags,) = struct.unpack_from("h", row, 16)
    return bool(flags & _IFF_UP)
