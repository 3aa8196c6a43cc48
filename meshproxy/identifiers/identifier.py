"""Identifiers: a request in, its logical name out.

An identifier may decline, so that the next one of the list is tried; an error ends the request
(linkerd: router/core/.../RoutingFactory.scala).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from meshproxy.errors import BindingTimedOut, UnidentifiedRequest
from meshproxy.http.message import Request
from meshproxy.metrics.tree import Tree
from meshproxy.naming.path import Path
from meshproxy.service import bound
from meshproxy.var import Activity, Failed, Ok, Var, wait


@dataclass(frozen=True, slots=True)
class Declined:
    """The identifier has no name for the request; *reason* is for the client."""

    reason: str


Named: TypeAlias = Path | Declined
Identifier = Callable[[Request], Named | Activity[Named]]
"""May rewrite the request's target; raises ValueError if the part it reads is malformed.

A result that is an Activity is waited for.
"""


@runtime_checkable
class Following(Protocol):
    """An identifier that watches something outside the proxy, from its first request on."""

    def report(self, metrics: Tree) -> None:
        """Shows in *metrics* how the watch is doing."""

    def close(self) -> None:
        """Stops watching; running requests use what was known last."""


def first_of(
    identifiers: Sequence[Identifier], timeout_s: float = 10.0
) -> Callable[[Request], Path]:
    """Returns a function that asks *identifiers* in order.

    It raises `UnidentifiedRequest` if none has a name, and `BindingTimedOut` if one has no result
    within *timeout_s* seconds. Raises ValueError if there are no identifiers.
    """
    if not identifiers:
        raise ValueError("empty identifier list")

    calls = [bound(identifier) for identifier in identifiers]

    def identify(request: Request) -> Path:
        reason = ""
        for identifier in calls:
            try:
                found = identifier(request)
                if type(found) is Path:
                    return found
                if isinstance(found, Var):
                    found = _settled(found, timeout_s)
            except ValueError as error:
                raise _unknown(request, str(error)) from error
            if isinstance(found, Path):
                return found
            reason = found.reason
        raise _unknown(request, reason)

    return identify


def _settled(answer: Activity[Named], timeout_s: float) -> Named:
    state = wait(answer, timeout_s)
    if isinstance(state, Ok):
        return state.value
    if isinstance(state, Failed):
        raise state.error
    raise BindingTimedOut(f"Exceeded {timeout_s:g}.seconds binding timeout while naming a request")


def _unknown(request: Request, reason: str) -> UnidentifiedRequest:
    line = f"{request.method.decode('latin-1')} {request.target.decode('latin-1')}"
    peer = f", from /{request.peer.remote}" if request.peer else ""
    return UnidentifiedRequest(f'Unknown destination: Request("{line}"{peer}) / {reason}')
