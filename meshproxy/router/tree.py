"""A bound tree as a service: each leaf is a client, or a refusal by the egress rules."""

from functools import partial
from random import random
from typing import Protocol

from meshproxy.errors import NoHosts, ProxyError
from meshproxy.http.message import Request, Response
from meshproxy.naming.bound import Bound
from meshproxy.naming.nametree import Leaf, NameTree, choose
from meshproxy.router import stacks
from meshproxy.router.address_filter import OpenRules, Policies
from meshproxy.router.cache import CacheEntry, IdleCache
from meshproxy.router.client import Client, ClientKey
from meshproxy.router.passage import Refusal, refused
from meshproxy.service import Service, stack

HttpService = Service[Request, Response]
BoundKey = tuple[Bound, Policies | None]
TreeKey = tuple[NameTree[Bound], OpenRules | None]
"""With what is left of the egress rules, if there are some."""


class Caches(Protocol):
    """What a tree needs of its router's `Binding`."""

    bounds: "IdleCache[BoundKey, BoundService]"
    clients: IdleCache[ClientKey, Client]

    def take_client(self, bound: Bound, policies: Policies | None) -> CacheEntry[ClientKey, Client]:
        """Returns the client of *bound*. Raises TlsFailed."""
        ...

    def policies_at(self, bound: Bound, rules: OpenRules | None) -> Policies | Refusal | None:
        """Returns what *rules* leave open at *bound*, or why they refuse it."""
        ...


class BoundService:
    """One client, as reached under one residual."""

    def __init__(self, key: BoundKey, binding: Caches) -> None:
        bound, policies = key
        self._clients = binding.clients
        self._client = binding.take_client(bound, policies)
        self.service: HttpService = stack(stacks.bound_stack(bound), self._client.value.serve)

    def close(self, *, expired: bool = False) -> None:
        """Releases the client."""
        self._clients.give(self._client, expired=expired)


class TreeService:
    """A bound tree of services; `serve` draws one, and raises NoHosts if that leads nowhere."""

    def __init__(self, key: TreeKey, binding: Caches) -> None:
        tree, self._rules = key
        self._binding = binding
        self._taken: list[CacheEntry[BoundKey, BoundService]] = []
        try:
            self._tree: NameTree[HttpService] = tree.map(self._take)
        except ProxyError:
            self.close()
            raise
        self.serve: HttpService = self._tree.value if isinstance(self._tree, Leaf) else self._draw

    def _draw(self, request: Request) -> Response:
        service = choose(self._tree, random)
        if service is None:
            raise NoHosts("No hosts are available: the name is negative, empty or failed")
        return service(request)

    def close(self, *, expired: bool = False) -> None:
        """Releases every leaf."""
        for entry in self._taken:
            self._binding.bounds.give(entry, expired=expired)

    def _take(self, bound: Bound) -> HttpService:
        policies = self._binding.policies_at(bound, self._rules)
        if isinstance(policies, Refusal):
            return partial(refused, policies)
        entry = self._binding.bounds.take((bound, policies), BoundService, self._binding)
        self._taken.append(entry)
        return entry.value.service


TreeEntry = CacheEntry[TreeKey, TreeService]
