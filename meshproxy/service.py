"""A server is a function: Service, Filter, and `stack`, which makes one Service of filters.

Generic in request and response, so this file knows no HTTP (finagle: Service.scala, Filter.scala).
"""

from collections.abc import Callable, Sequence
from types import FunctionType, MethodType
from typing import Any, TypeVar

Req = TypeVar("Req")
Rep = TypeVar("Rep")

Call = TypeVar("Call", bound=Callable[..., object])

Service = Callable[[Req], Rep]
Filter = Callable[[Req, Service[Req, Rep]], Rep]


def stack(filters: Sequence[Filter[Req, Rep]], service: Service[Req, Rep]) -> Service[Req, Rep]:
    """Wraps *service* in *filters*, outermost first; done once, when a stack is built.

    A filter is a function, a method or an object with `__call__`, of these two parameters.
    """
    for outer in reversed(filters):
        service = _around(outer, service)
    return service


def _around(outer: Filter[Req, Rep], inner: Service[Req, Rep]) -> Service[Req, Rep]:
    """Returns *outer* as a Service: a copy of its function with *inner* as a default argument.

    `lambda request: outer(request, inner)` means the same, but adds a frame for each filter to
    every request (docs/performance.md).
    """
    filter_ = bound(outer)
    made: Any = filter_.__func__ if isinstance(filter_, MethodType) else filter_
    copy = FunctionType(made.__code__, made.__globals__, made.__name__, (inner,), made.__closure__)
    return MethodType(copy, filter_.__self__) if isinstance(filter_, MethodType) else copy


def bound(called: Call) -> Call:
    """Returns *called*; if it is an object with `__call__`, that bound method.

    The interpreter calls methods directly and objects through C, whose frames also enlarge the
    stack that a switch of greenlets has to copy.
    """
    return called if isinstance(called, FunctionType | MethodType) else called.__call__  # type: ignore[operator] # as above
