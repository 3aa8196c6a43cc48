from meshproxy.http.trace_id import TraceId
from tests.kit.spans import span


def test_a_span_has_the_tags_of_its_facts_and_its_own() -> None:
    made = span(TraceId(1, 1, 1), tags={"a": "b"}, own_tags={"http.uri": "/"})
    assert made.tags == {"a": "b", "http.uri": "/"}
    assert span(TraceId(1, 1, 1)).tags == {}


def test_a_span_lasts_a_microsecond_at_least() -> None:
    lasting = [span(TraceId(1, 1, 1), duration_us=spent).duration_us for spent in (-5, 0, 1, 7)]
    assert lasting == [1, 1, 1, 7]
