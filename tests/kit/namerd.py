"""The HTTP interface of namerd: bound trees and addresses, once or as streams of JSON values.

Follows linkerd: namerd/iface/control-http, as far as a router asks it.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from .http_api import Asked, HttpApi, Said

Object = dict[str, Any]
NEG: Object = {"type": "neg"}


class Namerd(HttpApi):
    """Serves until closed. What names are bound to is told by `bind`, addresses by `put`."""

    def __init__(self, **where: Any) -> None:
        self.trees: dict[str, Object] = {}
        """By path."""
        self.addrs: dict[str, Object] = {}
        """By bound id."""
        self.watches = 0
        """Streams that are open."""
        self._ended = 0
        self._last_words = b""
        super().__init__(**where)

    # What namerd knows

    def bind(self, path: str, tree: Object) -> None:
        """Let *path* be bound to *tree*."""
        self.trees[path] = {"path": None, "dentry": None, **tree}
        self.tell()

    def put(self, bound_id: str, *endpoints: tuple[str, int] | Object, **more: Any) -> None:
        """Let *bound_id* be at these hosts and ports."""
        addrs = [
            {"ip": one[0], "port": one[1], "meta": {}} if isinstance(one, tuple) else one
            for one in endpoints
        ]
        self.addrs[bound_id] = {"type": "bound", "addrs": addrs, "meta": {}, **more}
        self.tell()

    def end_streams(self, last_words: bytes = b"") -> None:
        """End all streams, after these bytes."""
        self._ended += 1
        self._last_words = last_words
        self.tell()

    # How it answers

    def answer(self, asked: Asked) -> Said:
        """Answer as namerd does."""
        query = asked.query
        match asked.segments:
            case ["api", "1", "bind" | "addr" as what, _] if query.get("path", "").startswith("/"):
                known = self.trees if what == "bind" else self.addrs
                path = query["path"]
                if query.get("watch") in ("1", "true"):
                    return Said(body=self._stream(lambda: _line(known.get(path, NEG))))
                return Said(body=_line(known.get(path, NEG)))
            case ["api", "1", "bind" | "addr", _]:
                return Said(400, b"Invalid path")
        return Said(404)

    def _stream(self, look: Callable[[], bytes]) -> Iterator[bytes]:
        ended, said = self._ended, b""
        self.watches += 1
        try:
            while self._ended == ended:
                now = look()
                if now != said:
                    yield now[:-3]
                    yield now[-3:]
                    said = now
                self.wait(lambda: look() != said or self._ended != ended, 600)  # noqa: B023
            if self._last_words:
                yield self._last_words
        finally:
            self.watches -= 1


def leaf(bound_id: str, residual: str = "/") -> Object:
    """Return the tree of one bound name; the addresses in it are a snapshot of none."""
    return {
        "type": "leaf",
        "bound": {"addr": {"type": "pending"}, "id": bound_id, "path": residual},
    }


def union(*members: tuple[float, Object]) -> Object:
    """Return a weighted union."""
    return {
        "type": "union",
        "union": [{"weight": weight, "tree": tree} for weight, tree in members],
    }


def alt(*members: Object) -> Object:
    """Return alternatives."""
    return {"type": "alt", "alt": list(members)}


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
