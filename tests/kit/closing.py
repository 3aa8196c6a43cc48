"""What ends with the block that made it."""

from types import TracebackType
from typing import Self


class Closing:
    """A context manager of whatever has a `close`."""

    def close(self) -> None:
        """End it."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()
