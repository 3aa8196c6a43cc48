"""How often the garbage collector looks."""

import gc

from meshproxy.runtime.garbage import collect_seldom


def test_requests_in_progress_are_no_reason_to_look_for_garbage() -> None:
    before = gc.get_threshold()
    try:
        collect_seldom()
        looks: list[str] = []
        gc.callbacks.append(lambda phase, _: looks.append(phase))
        in_progress = [[] for _ in range(20_000)]
        assert looks == []
        assert len(in_progress) == 20_000
        more = [[] for _ in range(30_000)]
        assert looks
        assert len(more) == 30_000
    finally:
        gc.callbacks.pop()
        gc.set_threshold(*before)
