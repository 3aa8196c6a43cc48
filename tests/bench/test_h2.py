"""The bench of HTTP/2, on a small scale."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshproxy.config.load import load
from tests.bench import report
from tests.bench.h2 import configs, memory
from tests.bench.h2.__main__ import OURS, OURS_GRPC, Worlds, one
from tests.bench.h2.client import new_fields
from tests.bench.h2.scenarios import SCENARIOS
from tests.bench.load import Measured
from tests.bench.proxies import Running
from tests.bench.world import World
from tests.kit.daemons import find

PROGRAMS = ("h2load", "nghttpd", "curl")
needs_programs = pytest.mark.skipif(
    not all(map(find, PROGRAMS)), reason=f"needs {', '.join(PROGRAMS)}"
)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worlds]:
    with Worlds(tmp_path_factory.mktemp("h2")) as running:
        yield running


def test_a_ratio_is_judged_by_the_goals_of_http_2() -> None:
    runs = {
        ("1x100", name): [Measured(us, 1, 1, 1, 0)]
        for name, us in (("meshproxy", 9), ("envoy", 10))
    }
    assert "| 1x100 | envoy | 0.90 | 0.90 - 0.90 | 1.00 | 0.85 | must |" in report.markdown(
        runs, SCENARIOS
    )


@pytest.mark.parametrize("over_tls", [False, True])
def test_the_configurations_are_valid_and_speak_http_2_on_both_sides(
    tmp_path: Path, over_tls: bool
) -> None:
    world = World(tmp_path)
    for config in (configs.meshproxy, configs.meshproxy_grpc):
        load(config(world, 4140, over_tls), "bench")
    text = configs.envoy(world, 4140, over_tls)
    assert text.count("codec_type: HTTP2") == text.count("http2_protocol_options: {}") == 1


def test_new_fields_are_new_each_time() -> None:
    first, second = new_fields(2), new_fields(2)
    assert first != second
    assert first.count(b"\0") >= 2


@needs_programs
@pytest.mark.parametrize("name", ["300-paths", "grpc", "2-new-values", "post1m", "tls-small"])
def test_a_measurement_compares_bytes_and_counts(worlds: Worlds, name: str) -> None:
    proxy = OURS_GRPC if SCENARIOS[name].is_grpc else OURS
    measured = one(worlds, name, proxy, 0.1)
    assert measured.errors == 0
    assert measured.cpu_us > 1
    assert measured.p50_ms <= measured.p99_ms


@needs_programs
@pytest.mark.parametrize("kib", [memory.open_kib, memory.idle_kib])
def test_memory_is_measured(worlds: Worlds, kib: Callable[[Running, int], float]) -> None:
    with Running(OURS, worlds.plain) as running:  # which has no memory from before to use again
        assert kib(running, 200) > 0
