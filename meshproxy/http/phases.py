"""Where the time of a request went before its response: what it had to wait for, and attempts.

Only what takes time is written down, so a request on an idle connection under a name that is bound
costs nothing here. The rest of its time is the wait for the response.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from meshproxy.naming.path import Path

BIND: Final = "bind"
"""The name was not bound yet."""
DNS: Final = "dns"
"""The name was bound, but to addresses that were not known yet."""
QUEUE: Final = "queue"
"""Every connection that hostConnectionPool allows was in use."""
CONNECT: Final = "connect"
TLS: Final = "tls"


class Attempt(NamedTuple):
    """An attempt after which another one was made; times are monotonic seconds."""

    bound_id: Path | None
    endpoint: str
    result: str
    """The status of the response, or the reason code of an error."""
    ended: float
    resumed: float
    """When the next attempt began."""


class Spending(Protocol):
    """What a request has for its times."""

    phases: Mapping[str, float] | None


def spend(request: Spending, phase: str, seconds: float) -> None:
    """Adds *seconds* to the time that *request* has spent in *phase*."""
    spent = request.phases or {}
    request.phases = {**spent, phase: spent.get(phase, 0.0) + seconds}
