from meshproxy.metrics.metric import Metric, counter, gauge, histogram


def test_each_kind_has_its_word() -> None:
    kinds = [make("a/<b>", "What it is.") for make in (counter, gauge, histogram)]
    assert [kind.kind for kind in kinds] == ["counter", "gauge", "histogram"]
    assert kinds[0] == Metric("a/<b>", "counter", "What it is.")
