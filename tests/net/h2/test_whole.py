"""A body that came whole is what the protocols say, and can be sent again while it is short."""

import inspect

import pytest

from meshproxy.http import body
from meshproxy.http.headers import of
from meshproxy.net.h2.whole import Whole


def test_everything_a_request_body_has_is_there() -> None:
    named = {name for name, _ in inspect.getmembers(body.RequestBody) if not name.startswith("_")}
    assert [name for name in sorted(named) if not hasattr(Whole, name)] == []


@pytest.mark.parametrize("length", [None, 3])
def test_its_length_is_what_was_announced(length: int | None) -> None:
    whole = Whole(b"abc", length, trailers=of((b"a", b"b")))
    assert (whole.length, whole.received, whole.is_complete) == (length, 3, True)
    assert whole.read() == b"abc"
    assert whole.read() == b""
    assert whole.trailers is not None
    assert whole.trailers.get(b"a") == b"b"


@pytest.mark.parametrize(("kept", "most", "again"), [(3, 3, True), (2, 3, False), (3, 2, False)])
def test_it_is_sent_again_only_if_it_may_be_kept(kept: int, most: int, again: bool) -> None:
    whole = Whole(b"abc", None, kept)
    whole.keep_at_most(most)
    assert whole.is_replayable
    whole.read()
    assert whole.is_replayable is again
