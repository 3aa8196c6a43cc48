"""The questions that a router asks of namerd's mesh interface.

Each has a method that answers once and one that answers after each change; without a place for a
stream the first is called again and again, as clients can make up names.
"""

import random
from collections.abc import Callable, Generator
from typing import Final, TypeVar

import gevent

from meshproxy.discovery.grpc.channel import Calls, GrpcChannel
from meshproxy.discovery.mesh.delegation import Delegations
from meshproxy.discovery.mesh.replicas import read_replicas
from meshproxy.discovery.mesh.trees import read_bound_tree, write_dtab, write_path, write_tree
from meshproxy.discovery.namerd import POLL_S, BoundName
from meshproxy.discovery.protobuf import member, value_of
from meshproxy.discovery.watching.decoding import Malformed
from meshproxy.naming.addr import Addr
from meshproxy.naming.bound import Bound
from meshproxy.naming.delegation import Step
from meshproxy.naming.dtab import Dtab
from meshproxy.naming.nametree import Leaf, NameTree
from meshproxy.naming.path import Path

T = TypeVar("T")

_SERVICE: Final = "/io.linkerd.mesh."


class Mesh:
    """The questions to one namerd about names under *root*, which stands for a dtab of its own."""

    def __init__(self, channel: GrpcChannel, root: Path) -> None:
        self.channel = channel
        self._root = member(1, write_path(root))

    def bind(
        self, calls: Calls, dtab: Dtab, path: Path
    ) -> Generator[NameTree[BoundName], None, None]:
        """Yields what *path* is bound to by the root's dtab and *dtab* behind it."""
        message = self._root + member(2, write_path(path)) + member(3, write_dtab(dtab))
        yield from self._follow(calls, "Interpreter", "BoundTree", message, _read_bound_tree)

    def replicas(self, calls: Calls, bound_id: Path) -> Generator[Addr, None, None]:
        """Yields the addresses of a bound id."""
        message = member(1, write_path(bound_id))
        yield from self._follow(calls, "Resolver", "Replicas", message, read_replicas)

    def delegation(
        self, calls: Calls, dtab: Dtab, path: Path, bound: Callable[[BoundName], Bound]
    ) -> Generator[Step, None, None]:
        """Yields the steps from *path* to its end; *bound* follows the addresses of each end."""
        message = self._root + member(2, write_tree(Leaf(path))) + member(3, write_dtab(dtab))
        answer = calls.ask(f"{_SERVICE}Delegator/GetDelegateTree", message)
        yield Delegations(bound).read(_tree_of(answer))
        _rest()

    def _follow(
        self,
        calls: Calls,
        service: str,
        what: str,
        message: bytes,
        read: Callable[[bytes], T],
    ) -> Generator[T, None, None]:
        with self.channel.place() as has_place:
            if has_place:
                for each in calls.stream(f"{_SERVICE}{service}/Stream{what}", message):
                    yield read(each)
                return
            yield read(calls.ask(f"{_SERVICE}{service}/Get{what}", message))
            _rest()


def _tree_of(answer: bytes) -> bytes:
    tree = value_of(answer, 1)
    if tree is None:
        raise Malformed("an answer without a tree")
    return tree


def _read_bound_tree(answer: bytes) -> NameTree[BoundName]:
    return read_bound_tree(_tree_of(answer))


def _rest() -> None:
    gevent.sleep(POLL_S * random.uniform(0.9, 1.1))  # noqa: S311 - no secret
