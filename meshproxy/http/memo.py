"""What parsing found out about bytes that come again word for word, within a bound."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V], Generic[K, V]):
    """A dictionary of at most *limit* entries; a full one is emptied for the next.

    Keeping the order of use would cost each look-up more than filling it anew costs now and then,
    and what a client fills it with is gone with the rest.
    """

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, key: K, value: V) -> V:
        """Remembers *value* for *key*, and returns it."""
        if len(self) >= self._limit:
            self.clear()
        self[key] = value
        return value
