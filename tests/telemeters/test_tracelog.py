import logging

import pytest

from meshproxy.http.trace_id import TraceId
from meshproxy.metrics.tree import Tree
from meshproxy.telemeters.telemeter import TelemeterDeps
from meshproxy.telemeters.tracelog import TracelogConfig
from tests.kit.spans import Recorded, span


def test_a_span_is_a_line_of_the_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    telemeter = TracelogConfig(level="DEBUG").build(TelemeterDeps(Tree()))
    logged = span(TraceId(0xA1, 0xB2, 0xC3), duration_us=12, own_tags={"http.uri": "/a\nb"})
    telemeter.record(Recorded(logged))
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.getMessage() == (
        "trace 00000000000000c3 span 00000000000000a1 parent 00000000000000b2 SERVER GET 12 us "
        '{"http.uri": "/a\\nb"}'
    )


@pytest.mark.parametrize(("rate", "wanted"), [(2.0, True), (-1.0, False)])
def test_the_rate_is_kept_between_0_and_1(rate: float, *, wanted: bool) -> None:
    telemeter = TracelogConfig(sample_rate=rate).build(TelemeterDeps(Tree()))
    assert telemeter.wants(1, 0) is wanted
