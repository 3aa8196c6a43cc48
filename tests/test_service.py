"""A stack is a list, outermost first."""

from collections.abc import Callable

from meshproxy.service import Filter, stack


def noting(name: str) -> Filter[str, str]:
    """Return a filter that writes *name* around the request and the response."""

    def note(request: str, service: Callable[[str], str]) -> str:
        return f"{name}({service(f'{name}>{request}')})"

    return note


def test_the_first_filter_is_the_outermost() -> None:
    service = stack([noting("a"), noting("b")], lambda request: f"[{request}]")
    assert service("x") == "a(b([b>a>x]))"


class Numbering:
    """A filter with a number of its own."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, request: str, service: Callable[[str], str]) -> str:
        return f"{self._number}({service(request)})"


def test_one_filter_stands_in_many_stacks_and_two_of_a_kind_in_one() -> None:
    shared = Numbering(1)
    first = stack([shared, Numbering(2)], lambda request: f"a{request}")
    second = stack([Numbering(3), shared.__call__], lambda request: f"b{request}")
    assert (first("x"), second("x")) == ("1(2(ax))", "3(1(bx))")


def test_no_filter_leaves_the_service_as_it_is() -> None:
    def service(request: str) -> str:
        return request

    assert stack([], service) is service


def test_a_filter_may_answer_without_the_service() -> None:
    def refuse(_request: str, _service: Callable[[str], str]) -> str:
        return "refused"

    def unreachable(request: str) -> str:
        raise AssertionError(request)

    assert stack([refuse], unreachable)("x") == "refused"
