"""The system's settings for names: resolv.conf(5) and hosts(5), read again when they change.

Follows the manual pages of glibc; makes no native call.
"""

import ipaddress
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

T = TypeVar("T")

RESOLV_CONF: Final = "/etc/resolv.conf"
HOSTS: Final = "/etc/hosts"
_DEFAULT_NAMESERVERS: Final = ("127.0.0.1",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvConf:
    """The part of resolv.conf(5) that a stub resolver needs."""

    nameservers: tuple[str, ...] = _DEFAULT_NAMESERVERS
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout_s: float | None = None
    attempts: int = 2

    @classmethod
    def parse(cls, text: str) -> "ResolvConf":
        """Reads the text of a resolv.conf; skips what it cannot understand, as glibc does."""
        nameservers: list[str] = []
        search: tuple[str, ...] = ()
        options: dict[str, int] = {}
        for line in text.splitlines():
            match line.split("#")[0].split(";")[0].split():
                case ["nameserver", address, *_] if _is_address(address):
                    nameservers.append(address)
                case ["search" | "domain", *domains]:
                    search = tuple(domain.strip(".").lower() for domain in domains)
                case ["options", *words]:
                    options.update(_options(words))
                case _:
                    continue
        return cls(
            nameservers=tuple(nameservers[:3]) or _DEFAULT_NAMESERVERS,
            search=tuple(filter(None, search)),
            ndots=min(options.get("ndots", 1), 15),
            timeout_s=min(max(options["timeout"], 1), 30) if "timeout" in options else None,
            attempts=min(max(options.get("attempts", 2), 1), 5),
        )

    def candidates(self, host: str) -> tuple[str, ...]:
        """Returns the absolute names to ask for *host*, in order; a final dot stops the search."""
        if host.endswith("."):
            return (host[:-1],)
        searched = tuple(f"{host}.{domain}" for domain in self.search)
        return (host, *searched) if host.count(".") >= self.ndots else (*searched, host)


def _options(words: list[str]) -> Mapping[str, int]:
    pairs = (word.partition(":") for word in words)
    return {name: int(value) for name, _, value in pairs if value.isdecimal()}


def parse_hosts(text: str) -> Mapping[str, tuple[str, ...]]:
    """Reads the text of a hosts file: each name, in lower case, with its addresses in order."""
    hosts: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        address, *names = line.split("#")[0].split() or [""]
        if not _is_address(address):
            continue
        for name in dict.fromkeys(name.lower().rstrip(".") for name in names):
            known = hosts.get(name, ())
            hosts[name] = known if address in known else (*known, address)
    return hosts


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class Reread(Generic[T]):
    """A parsed file that is read again when its name, size, time or inode has changed.

    A file that is missing or unreadable counts as empty.
    """

    def __init__(self, path: str, parse: Callable[[str], T]) -> None:
        self._path = Path(path)
        self._parse = parse
        self._seen: tuple[int, int, int] | None = None
        self._value = parse("")

    def value(self) -> T:
        """Returns the present contents of the file."""
        seen = _signature(self._path)
        if seen != self._seen:
            self._seen = seen
            self._value = self._parse(_read(self._path))
        return self._value


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - the same call, without building objects
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="replace")
    return ""


def has_global_ipv6(table: str = "/proc/net/if_inet6") -> bool:
    """Returns True if an interface has an IPv6 address of global scope in the kernel's *table*."""
    return any(
        len(fields) == 6 and fields[3] == "00"
        for fields in map(str.split, _read(Path(table)).splitlines())
    )
