"""A network of the test's own, so that ports 80, 443 and 53 are free and real."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

CLONE_NEWNET = 0x40000000


class Unavailable(Exception):
    """This machine, or this user, cannot make a network namespace; the text says why."""


class Namespace:
    """Moves this thread into an empty network with loopback up, and back; a context manager.

    Sockets and processes made meanwhile live in that network, and stay there.
    """

    is_entered: ClassVar[bool] = False
    """This thread is in one now, where no address leads out of it."""

    def __enter__(self) -> Self:
        if not shutil.which("ip"):
            raise Unavailable("ip (iproute2) is not installed")
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        if _libc().unshare(CLONE_NEWNET):
            os.close(self._home)
            raise Unavailable(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        Namespace.is_entered = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        Namespace.is_entered = False
        if _libc().setns(self._home, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "cannot return to the network of before")
        os.close(self._home)


def have(*addresses: str) -> None:
    """Give *addresses* to the loopback device of the network that this thread is in."""
    for address in addresses:
        command = ["ip", "address", "add", address, "dev", "lo"]
        subprocess.run([*command, *(["nodad"] if ":" in address else [])], check=True)


def with_files(files: dict[str, Path], *command: str) -> list[str]:
    """Return *command* as it is run with other *files* in the place of the system's."""
    binds = [f"mount --bind {source} {place}" for place, source in files.items()]
    script = " && ".join([*binds, 'exec "$@"'])
    return ["unshare", "--mount", "sh", "-c", script, "sh", *command]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
