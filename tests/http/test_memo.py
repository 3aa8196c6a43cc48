from meshproxy.http.memo import Memo


def test_what_is_kept_is_found() -> None:
    memo: Memo[bytes, int] = Memo(2)
    assert memo.keep(b"a", 1) == 1
    assert (memo.get(b"a"), memo.get(b"b")) == (1, None)


def test_a_full_one_is_emptied_for_the_next() -> None:
    memo: Memo[int, int] = Memo(3)
    for number in range(4):
        memo.keep(number, number)
    assert dict(memo) == {3: 3}
