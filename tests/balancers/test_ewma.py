"""Two choices by latency: the load that the kind brings."""

from meshproxy.balancers.ewma import EwmaConfig
from meshproxy.balancers.p2c import P2c
from meshproxy.ewma import PeakEwma
from meshproxy.metrics.tree import Tree


def test_each_endpoint_has_a_load_of_its_own() -> None:
    config = EwmaConfig(decay_time_ms=1)
    first, second = config.new_load(), config.new_load()
    assert isinstance(first, PeakEwma)
    assert first is not second
    assert first._per_tau == 1000


def test_it_chooses_as_p2c_does_under_its_own_name() -> None:
    assert type(EwmaConfig().build(Tree())) is P2c
    assert EwmaConfig.algorithm == "p2c_peak_ewma"
