"""A server is a function: Service and Filter, and how a list of filters becomes one Service.

Generic in request and response, so this floor knows no HTTP (finagle: Service.scala, Filter.scala).
"""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import TypeVar

Req = TypeVar("Req")
Rep = TypeVar("Rep")

Service = Callable[[Req], Rep]
Filter = Callable[[Req, Service[Req, Rep]], Rep]


def stack(filters: Sequence[Filter[Req, Rep]], service: Service[Req, Rep]) -> Service[Req, Rep]:
    """Fold *filters*, outermost first, around *service*; done once, when a stack is built."""
    for outer in reversed(filters):
        service = _around(outer, service)
    return service


def _around(outer: Filter[Req, Rep], inner: Service[Req, Rep]) -> Service[Req, Rep]:
    """One closure; a bound method is called faster than an object with `__call__`."""
    call: Filter[Req, Rep] = outer if isinstance(outer, FunctionType) else outer.__call__  # type: ignore[operator]
    return lambda request: call(request, inner)
