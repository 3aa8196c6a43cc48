"""Every error is a complete response that says why, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy import errors
from meshproxy.errors import ConnectFailed, ProxyError
from meshproxy.http.errors import error_response, forget_frames
from meshproxy.http.limits import Limits

ALL = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.ProxyError)
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_its_response(kind: type[errors.ProxyError]) -> None:
    response = error_response(kind("why so"), Limits())
    assert response.status == kind.status
    assert response.reason
    assert response.body == b"why so"
    assert response.headers.get(b"content-length") == b"6"
    assert response.headers.get(b"l5d-err") == b"why+so"
    assert response.headers.get(b"l5d-retryable") == (b"true" if kind.retryable else None)
    assert response.failed is (kind.status >= 500)
    for name, value in kind.fields:
        assert response.headers.get(name.lower()) == value


def test_an_error_without_text_is_called_by_its_name() -> None:
    response = error_response(errors.NoHosts(), Limits())
    assert (response.body, response.headers.get(b"l5d-err")) == (b"NoHosts", b"NoHosts")


def test_long_texts_are_cut() -> None:
    response = error_response(errors.NoHosts("x" * 500), Limits(error_bytes=100, header_bytes=50))
    assert response.body == b"x" * 100
    assert response.headers.get(b"l5d-err") == b"x" * 50


def test_a_cut_does_not_split_a_character() -> None:
    response = error_response(errors.NoHosts("\N{SNOWMAN}" * 9), Limits(error_bytes=10))
    assert response.body == "\N{SNOWMAN}\N{SNOWMAN}\N{SNOWMAN}".encode()


@given(st.text())
def test_no_control_character_leaves(text: str) -> None:
    response = error_response(errors.BadRequest(text), Limits())
    assert isinstance(response.body, bytes)
    assert not set(response.body) & ({*range(32), 127} - {9, 10})
    assert response.headers.get(b"content-length") == b"%d" % len(response.body)


def test_a_handled_error_leads_to_no_frame_and_no_other_error() -> None:
    def fail() -> None:
        try:
            int("refused")
        except ValueError as error:
            raise ConnectFailed("no connection") from error

    try:
        fail()
    except ProxyError as error:
        failure = error
    cause = failure.__cause__
    assert cause is not None
    cause.__context__ = failure  # a circle, as errors that are kept and raised again may make
    forget_frames(failure)
    for each in (failure, cause):
        assert (each.__traceback__, each.__cause__, each.__context__) == (None, None, None)
