"""A server is a function: Service and Filter, and how a list of filters becomes one Service.

Generic in request and response, so this floor knows no HTTP (finagle: Service.scala, Filter.scala).
"""

from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import TypeVar

Req = TypeVar("Req")
Rep = TypeVar("Rep")

Call = TypeVar("Call", bound=Callable[..., object])

Service = Callable[[Req], Rep]
Filter = Callable[[Req, Service[Req, Rep]], Rep]


def stack(filters: Sequence[Filter[Req, Rep]], service: Service[Req, Rep]) -> Service[Req, Rep]:
    """Fold *filters*, outermost first, around *service*; done once, when a stack is built."""
    for outer in reversed(filters):
        service = _around(bound(outer), service)
    return service


def _around(outer: Filter[Req, Rep], inner: Service[Req, Rep]) -> Service[Req, Rep]:
    return lambda request: outer(request, inner)


def bound(called: Call) -> Call:
    """Return *called*, as a bound method if it is an object with `__call__`.

    The interpreter calls methods itself and objects through C, whose frames also make the stack
    larger that a switch of greenlets has to copy.
    """
    return called if isinstance(called, FunctionType | MethodType) else called.__call__  # type: ignore[operator] # as above
