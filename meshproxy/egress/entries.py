"""The values of a rule's keys, and what each of them matches.

Every entry says how specific its match is, so that of several the most specific can decide.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final, Generic, NamedTuple, Protocol, Self, TypeVar

from meshproxy.egress.hosts import normalised
from meshproxy.naming.matcher import PathMatcher
from meshproxy.naming.path import Path

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?").fullmatch
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_PORTS: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?").fullmatch
_MAX_PORT: Final = 65535
_EXACT: Final = 1000
"""More specific than any pattern."""
_MAX_NAME: Final = 253

F_contra = TypeVar("F_contra", contravariant=True)


class RuleEntry(Protocol[F_contra]):
    """One value of a key, without its `!`."""

    def match(self, fact: F_contra) -> int | None:
        """Returns how specific the match with *fact* is; None without a match."""
        ...

    def covers(self, other: Any) -> bool:
        """Returns True if it matches everything that *other*, an entry of its kind, matches."""
        ...


E_co = TypeVar("E_co", bound=RuleEntry[Any], covariant=True)


class Item(NamedTuple, Generic[E_co]):
    """An entry of a list, with or without `!`."""

    entry: E_co
    takes_away: bool = False
    text: str = ""
    """The text in the configuration."""


@dataclass(frozen=True, slots=True)
class Choice(Generic[E_co]):
    """The entries of one key."""

    items: tuple[Item[E_co], ...]

    def matches(self, fact: Any) -> bool:
        """Returns True if the most specific entry that matches *fact* has no `!`.

        Of two that are as specific, the one that takes away decides.
        """
        best, chosen = -1, False
        for item in self.items:
            how = item.entry.match(fact)
            if how is not None and (how > best or (how == best and item.takes_away)):
                best, chosen = how, not item.takes_away
        return chosen

    def covers(self, other: "Choice[Any]") -> bool:
        """Returns True if it certainly matches everything that *other* matches."""
        if any(item.takes_away for item in self.items):
            return self == other
        return all(
            item.takes_away or any(mine.entry.covers(item.entry) for mine in self.items)
            for item in other.items
        )


@dataclass(frozen=True, slots=True)
class HostEntry:
    """`a.test`, `*.a.test`, `*` or an address; compared with a normalised host."""

    name: str
    """The name without `*.`."""
    is_pattern: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses an entry. Raises ValueError with the remedy."""
        if text == "*":
            return cls("", True)
        is_pattern = text.startswith("*.")
        name = text[2:] if is_pattern else text
        if "*" in name:
            raise ValueError(
                f"{text}: `*` stands for whole labels at the beginning, as in *.a.test"
            )
        if not name.isascii():
            raise ValueError(f"{text} is not ASCII, write {_a_label(name, text)}")
        if _is_host_and_port(name):
            host, _, port = name.rpartition(":")
            raise ValueError(f"{text} has a port, write host: {host} and port: {port}")
        name = normalised(name)
        if _is_address(name) and not is_pattern:
            return cls(name)
        if _is_address(name) or len(name) > _MAX_NAME or not all(map(_LABEL, name.split("."))):
            raise ValueError(f"{text} is not a host name or address, write such as api.a.test")
        return cls(name, is_pattern)

    def match(self, fact: str) -> int | None:
        """Returns the number of labels, or more than any pattern has for an exact name."""
        if not self.is_pattern:
            return _EXACT if fact == self.name else None
        if not self.name:
            return 0
        if fact.endswith(self.name) and fact[: -len(self.name)].endswith("."):
            return 1 + self.name.count(".") if len(fact) > len(self.name) + 1 else None
        return None

    def covers(self, other: "HostEntry") -> bool:
        """As for every entry."""
        if self == other or (self.is_pattern and not self.name):
            return True
        return self.is_pattern and self.match(other.name) is not None


def _a_label(name: str, text: str) -> str:
    try:
        ascii_name = name.encode("idna").decode("ascii")
    except UnicodeError:
        return "its A-label (xn--...)"
    return f"its A-label, {text.removesuffix(name)}{ascii_name}"


def _is_host_and_port(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    return bool(colon) and port.isdigit() and (":" not in host or host.endswith("]"))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class PathEntry:
    """A prefix of a path, as in `client.configs`."""

    prefix: PathMatcher

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses an entry. Raises ValueError with the remedy."""
        if not text.startswith("/"):
            raise ValueError(f"{text} is not a path prefix, write such as /svc/web")
        return cls(PathMatcher.parse(text))

    def match(self, fact: Path) -> int | None:
        """Returns the number of segments; None without a match."""
        return self.prefix.length if self.prefix.match(fact) is not None else None

    def covers(self, other: "PathEntry") -> bool:
        """As for every entry."""
        return self == other or not self.prefix.length


@dataclass(frozen=True, slots=True)
class PortEntry:
    """A port or a range of ports, both ends included."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses an entry. Raises ValueError with the remedy."""
        found = _PORTS(text)
        if found is None:
            raise ValueError(f"{text} is not a port, write such as 443 or 6000-6999")
        first, last = int(found[1]), int(found[2] or found[1])
        if last > _MAX_PORT:
            raise ValueError(f"{last} is outside the valid range for ports, 0 to {_MAX_PORT}")
        if first > last:
            raise ValueError(f"{text} ends before it begins, write {last}-{first}")
        return cls(first, last)

    def match(self, fact: int) -> int | None:
        """Returns a number that is higher for narrower ranges; None without a match."""
        return _MAX_PORT - (self.last - self.first) if self.first <= fact <= self.last else None

    def covers(self, other: "PortEntry") -> bool:
        """As for every entry."""
        return self.first <= other.first and other.last <= self.last


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """A method; case-sensitive."""

    method: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses an entry. Raises ValueError with the remedy."""
        if not _TOKEN(text):
            raise ValueError(f"{text} is not a method, write such as GET")
        return cls(text.encode("ascii"))

    def match(self, fact: bytes) -> int | None:
        """As for every entry."""
        return 0 if fact == self.method else None

    def covers(self, other: "MethodEntry") -> bool:
        """As for every entry."""
        return self == other
