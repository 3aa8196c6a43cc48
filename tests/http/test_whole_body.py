"""A body that is whole from the start can be sent again while it is short enough."""

from meshproxy.http.whole_body import WholeBody


def test_it_is_read_once_and_again_after_a_rewind() -> None:
    body = WholeBody(b"abc", keep_bytes=3)
    assert (body.length, body.is_complete) == (3, True)
    for _ in range(2):
        body.rewind()
        assert body.has_piece
        assert list(body) == [b"abc"]
        assert not body.has_piece
        assert body.read() == b""
        assert body.is_replayable


def test_it_is_had_whole_however_often() -> None:
    body = WholeBody(b"abc", keep_bytes=3)
    assert [body.whole(), body.whole()] == [b"abc", b"abc"]
    assert body.read() == b""
    assert body.is_replayable
    body.keep_at_most(2)
    assert body.whole() == b"abc"
    assert not body.is_replayable


def test_if_it_is_longer_than_what_is_kept_it_is_sent_once() -> None:
    body = WholeBody(b"abc", keep_bytes=3)
    body.keep_at_most(2)
    assert body.is_replayable
    assert body.read() == b"abc"
    assert not body.is_replayable
