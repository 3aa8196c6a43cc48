"""The `io.l5d.fs` namer: a file for each name, an address on each line.

linkerd: namer/fs/.../{FsInitializer,WatchingNamer}.scala.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from meshproxy.config.bases import NamerConfig, NamerDeps, Resolver
from meshproxy.config.files import Directory
from meshproxy.config.model import key
from meshproxy.discovery.files import file_depth, files_below
from meshproxy.discovery.hostname import full_form, literal, why_refused
from meshproxy.discovery.members import Members
from meshproxy.discovery.parsed_files import ParsedFiles
from meshproxy.naming.addr import ADDR_NEG, ADDR_PENDING, Addr, Address, AddrFailed
from meshproxy.naming.bound import Bound
from meshproxy.naming.followed import Followed
from meshproxy.naming.namer import Lookup
from meshproxy.naming.nametree import NEG, Leaf, NameTree
from meshproxy.naming.path import Path
from meshproxy.var import Failed, Ok, Pending, State, Var
from meshproxy.wording import in_words

_LINE: Final = re.compile(r"(\S+)\s+(\d{1,5})(?:\s*\*\s*(\d+(?:\.\d*)?|\.\d+))?", re.ASCII)


def parse_entries(text: bytes) -> tuple[Address, ...]:
    """Reads lines of `host port` or `host port * weight`; `#` begins a comment.

    Raises:
        ValueError: a line is none of these, its port is not in 1..65535, or its host is impossible.
    """
    entries = []
    for number, line in enumerate(text.decode("utf-8").splitlines(), 1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        match = _LINE.fullmatch(written)
        if match is None or not 1 <= int(match[2]) <= 65535:
            raise ValueError(f"line {number} is not `host port` or `host port * weight`: {written}")
        host = full_form(match[1])
        why = why_refused(host) if literal(host) is None else None
        if why is not None:
            raise ValueError(f"line {number}: {why}")
        entries.append(Address(host, int(match[2]), float(match[3] or 1)))
    return tuple(entries)


class FsNamer:
    """Names are paths of files under a directory; the rest of the name is the residual.

    A missing file is negative, an empty one bound to nothing, one with a bad line failed. Hosts
    may be names, which are resolved and followed.
    """

    def __init__(self, prefix: Path, root_dir: str, resolver: Resolver) -> None:
        self.prefix = prefix
        self._root_dir = root_dir
        self._resolver = resolver
        self._files = ParsedFiles(_parse, _shown)

    def lookup(self, path: Path) -> Lookup:
        """Returns the first regular file on the way down *path*, and follows it."""
        if not path:
            return NEG
        return file_depth(self._root_dir, path).map(lambda depth: Ok(self._tree(path, depth)))

    def names(self) -> list[Path]:
        """Returns the names of all files, at most 10,000."""
        return [self.prefix + Path(names) for names in files_below(self._root_dir)]

    def describe(self) -> Mapping[str, Any]:
        """Returns what is known of each file in use."""
        return self._files.describe()

    def followed(self) -> Iterator[Followed]:
        """Returns the same in brief."""
        return self._files.followed()

    def _tree(self, path: Path, depth: int) -> NameTree[Path | Bound]:
        if not depth:
            return NEG
        file = path.take(depth)
        name = "/".join([self._root_dir, *map(os.fsdecode, file)])
        addr = self._files.follow(name).flat_map(lambda state: self._addr(file, state))
        return Leaf(Bound(self.prefix + file, addr, path.drop(depth)))

    def _addr(self, file: Path, state: State[tuple[Address, ...] | None]) -> Var[Addr]:
        match state:
            case Ok(entries):
                found = None if entries is None else Members.of(entries)
                return Var(ADDR_NEG) if found is None else found.addr(self._resolver.resolve)
            case Failed(error):
                return Var(AddrFailed(f"{file.show()}: {in_words(error)}"))
            case Pending():
                return Var(ADDR_PENDING)


def _parse(text: bytes | None) -> tuple[Address, ...] | None:
    return None if text is None else parse_entries(text)


def _shown(entries: tuple[Address, ...] | None) -> list[str] | None:
    return (
        None if entries is None else [f"{one.host} {one.port} * {one.weight:g}" for one in entries]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FsNamerConfig(NamerConfig):
    """Finds addresses in files, with one `host port` or `host port * weight` on each line."""

    kind: ClassVar[str] = "io.l5d.fs"
    default_prefix: ClassVar[Path] = Path.of("io.l5d.fs")
    root_dir: Directory = key(doc="The directory of the files; each is a name.")

    def build(self, deps: NamerDeps) -> FsNamer:
        """Returns the namer."""
        return FsNamer(deps.prefix, self.root_dir, deps.resolver)
