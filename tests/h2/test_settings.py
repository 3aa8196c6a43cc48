"""What we say and what we take over."""

import pytest

from meshproxy.h2 import frames
from meshproxy.h2.errors import H2ConnectionError
from meshproxy.h2.settings import LocalSettings, PeerSettings


def test_settings_that_are_the_defaults_are_not_said() -> None:
    assert dict(LocalSettings().pairs(is_client=False)) == {3: 1000, 6: 8192}
    assert dict(LocalSettings().pairs(is_client=True)) == {2: 0, 6: 8192}


@pytest.mark.parametrize(("ratio", "least"), [(0.99, 1), (0.5, 50), (0.25, 75)])
def test_a_window_is_topped_up_below_the_ratio(ratio: float, least: int) -> None:
    assert LocalSettings(window_update_ratio=ratio).least_grant(100) == least


def test_the_last_value_of_each_counts_and_unknown_ones_do_not() -> None:
    peer = PeerSettings()
    pairs = [(4, 1), (4, 2), (1, 7), (3, 5), (5, 20_000), (6, 9), (2, 0), (99, 1)]
    peer.update(frames.settings(pairs)[9:])
    assert (peer.stream_window_bytes, peer.header_table_bytes) == (2, 7)
    assert (peer.max_concurrent_streams, peer.max_frame_bytes) == (5, 20_000)


@pytest.mark.parametrize("pair", [(2, 2), (4, 1 << 31), (5, 16_383), (5, 1 << 24)])
def test_a_value_out_of_range_is_refused_though_a_right_one_follows(pair: tuple[int, int]) -> None:
    right = {2: 0, 4: 1, 5: 16_384}[pair[0]]
    with pytest.raises(H2ConnectionError, match="SETTINGS_"):
        PeerSettings().update(frames.settings([pair, (pair[0], right)])[9:])
