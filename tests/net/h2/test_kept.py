"""What is held of a body to be sent again."""

from meshproxy.net.h2.kept import Kept


def test_what_is_held_is_taken_again() -> None:
    kept = Kept(6, None)
    kept.add(b"abc")
    assert not kept.has_piece
    kept.add(memoryview(b"def"))
    kept.rewind()
    assert kept.has_piece
    assert b"".join(kept.take()) == b"abcdef"
    assert kept.take() == []
    assert kept.is_replayable
    assert not kept.is_over


def test_beyond_the_limit_nothing_is_held() -> None:
    kept = Kept(5, None)
    assert kept.is_replayable, "nothing has been read yet"
    kept.add(b"abc")
    kept.add(b"def")
    kept.rewind()
    assert kept.take() == []
    assert not kept.is_replayable
    assert kept.is_over


def test_what_is_announced_as_too_long_is_not_held() -> None:
    kept = Kept(5, 6)
    kept.add(b"")
    assert kept.is_replayable, "nothing has been read yet"
    assert not kept.is_over
    kept.add(b"a")
    assert not kept.is_replayable
    assert kept.is_over


def test_the_limit_may_be_lowered() -> None:
    kept = Kept(5, None)
    kept.add(b"abc")
    kept.limit(9, None)
    assert kept.is_replayable
    kept.limit(2, None)
    assert not kept.is_replayable
    announced = Kept(5, 3)
    announced.limit(2, 3)
    announced.add(b"a")
    assert not announced.is_replayable
