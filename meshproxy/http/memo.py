"""A bounded memo of parsing results, for bytes that recur word for word."""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V], Generic[K, V]):
    """A dictionary of at most *limit* entries, emptied when a full one gets another.

    Keeping the order of use would cost each look-up more than refilling costs now and then, and
    this way entries that a hostile client adds do not stay either.
    """

    __slots__ = ("_limit",)

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, key: K, value: V) -> V:
        """Stores *value* under *key* and returns it."""
        if len(self) >= self._limit:
            self.clear()
        self[key] = value
        return value
