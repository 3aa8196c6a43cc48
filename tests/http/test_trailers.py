"""Fields of heads are no trailers, whatever protocol they come by."""

import pytest

from meshproxy.http.trailers import is_forbidden


@pytest.mark.parametrize(
    "name", [b"content-length", b"host", b"authorization", b"set-cookie", b"via", b"l5d-err"]
)
def test_what_frames_routes_or_admits_is_for_heads_alone(name: bytes) -> None:
    assert is_forbidden(name)


@pytest.mark.parametrize("name", [b"grpc-status", b"grpc-message", b"server-timing", b"x-l5d-own"])
def test_other_fields_may_be_trailers(name: bytes) -> None:
    assert not is_forbidden(name)
