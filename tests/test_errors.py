"""What every error says to the client and to the metrics."""

import re
from collections.abc import Iterator

import pytest

from meshproxy import errors
from meshproxy.errors import Phase, ProxyError


def family(root: type[ProxyError] = ProxyError) -> Iterator[type[ProxyError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child)


@pytest.mark.parametrize("error", list(family()), ids=lambda error: error.__name__)
def test_every_error_has_a_status_and_a_token_for_metrics(error: type[ProxyError]) -> None:
    assert 400 <= error.status <= 599
    assert re.fullmatch("[a-z_]+", error.reason)


def test_tokens_tell_errors_apart() -> None:
    reasons = [error.reason for error in family() if "reason" in vars(error)]
    assert len(reasons) == len(set(reasons))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(errors.BadRequest, 400, id="a broken message"),
        pytest.param(errors.UnidentifiedRequest, 400, id="no name"),
        pytest.param(errors.BadDtabHeader, 400, id="a broken override"),
        pytest.param(errors.MaxCallDepthExceeded, 400, id="a loop"),
        pytest.param(errors.RequestTimedOut, 408, id="a slow client"),
        pytest.param(errors.TargetTooLong, 414, id="a long line"),
        pytest.param(errors.HeadersTooLarge, 431, id="large fields"),
        pytest.param(errors.Forbidden, 403, id="a port that is not open to CONNECT"),
        pytest.param(errors.NoHosts, 502, id="nowhere"),
        pytest.param(errors.ConnectFailed, 502, id="no connection"),
        pytest.param(errors.TlsFailed, 502, id="a wrong certificate"),
        pytest.param(errors.BindingTimedOut, 503, id="a name that stays unknown"),
        pytest.param(errors.ServiceTimedOut, 503, id="a slow endpoint"),
        pytest.param(errors.PoolFull, 503, id="a full queue"),
    ],
)
def test_the_status_is_the_one_promised(error: type[ProxyError], status: int) -> None:
    assert error.status == status


def test_only_what_was_never_delivered_may_be_sent_again() -> None:
    retryable = {error.__name__ for error in family() if error.retryable}
    assert {"ConnectFailed", "WriteFailed", "PoolFull"} <= retryable
    assert not {"ConnectionClosed", "ServiceTimedOut", "BadResponse", "TlsFailed"} & retryable


def test_what_the_client_or_the_operator_decided_is_final() -> None:
    final = {error for error in family() if not error.transient}
    assert {error for error in family() if error.by_client} <= final
    assert {errors.TlsFailed, errors.NoHosts, errors.BindingFailed, errors.DeadlineExceeded} < final


def test_only_an_endpoint_that_was_reached_for_is_blamed() -> None:
    before = {Phase.BIND, Phase.QUEUE}
    blamed = {error for error in family() if error.blames_endpoint}
    assert not {error for error in blamed if error.by_client or error.phase in before}
    assert blamed == {
        errors.ConnectFailed,
        errors.TlsFailed,
        errors.WriteFailed,
        errors.ConnectionClosed,
        errors.NoResponse,
        errors.BadResponse,
        errors.ServiceTimedOut,
    }
