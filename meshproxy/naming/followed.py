"""What discovery believes about a name at the moment, and since when."""

from collections.abc import Iterable
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

MAX_ANSWER: Final = 200
"""Characters of an answer that are shown."""


class Followed(NamedTuple):
    """A name that a discovery system is asked for. Times are seconds since 1970, 0 for never."""

    name: str
    answer: str
    """What is known of it, in brief; empty before the first answer."""
    answered_at: float
    failure: str = ""
    """Why the system does not answer now; the last answer stays in use."""
    failing_since: float = 0.0
    renewed_at: float = 0.0
    """When it will be asked again, if that depends on the age of the answer."""


@runtime_checkable
class FollowsNames(Protocol):
    """A namer, an interpreter or a resolver that follows names."""

    def followed(self) -> Iterable[Followed]:
        """Returns what is followed now."""
        ...


def brief(value: Any) -> str:
    """Returns what stands for *value*, a JSON value, in a line: of many members their number."""
    if isinstance(value, list | dict):
        return f"{len(value)} {'entry' if len(value) == 1 else 'entries'}"
    return "nothing" if value is None else str(value)[:MAX_ANSWER]
