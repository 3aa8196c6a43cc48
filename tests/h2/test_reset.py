"""What a reset means to those who retry, count and answer."""

import pytest

from meshproxy.errors import ClientGone, ProxyError
from meshproxy.h2.errors import ErrorCode
from meshproxy.h2.reset import ClientReset, GoneAway, StreamRefused, StreamReset, passed_on


def test_a_code_that_only_the_connection_understands_is_an_internal_error() -> None:
    assert passed_on(ErrorCode.CANCEL) == ErrorCode.CANCEL
    for code in (ErrorCode.FLOW_CONTROL_ERROR, ErrorCode.HTTP_1_1_REQUIRED, 77):
        assert passed_on(code) == ErrorCode.INTERNAL_ERROR


@pytest.mark.parametrize(
    ("error", "code", "may_be_sent_again", "is_blamed"),
    [
        (StreamReset("reset", ErrorCode.CANCEL), ErrorCode.CANCEL, False, True),
        (StreamRefused("refused"), ErrorCode.REFUSED_STREAM, True, True),
        (GoneAway("gone"), ErrorCode.REFUSED_STREAM, True, False),
    ],
)
def test_only_what_was_never_looked_at_may_be_sent_again_by_anyone(
    error: StreamReset, code: int, may_be_sent_again: bool, is_blamed: bool
) -> None:
    assert error.code == code
    assert (error.retryable, error.blames_endpoint) == (may_be_sent_again, is_blamed)


def test_a_reset_by_the_client_is_a_client_that_left() -> None:
    error: ProxyError = ClientReset("reset", ErrorCode.ENHANCE_YOUR_CALM)
    assert isinstance(error, ClientGone)
    assert error.code == ErrorCode.ENHANCE_YOUR_CALM  # type: ignore[attr-defined]
    assert ClientReset("the connection closed").code == ErrorCode.CANCEL
