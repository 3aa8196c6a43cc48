from meshproxy.metrics.histogram import Summary
from meshproxy.metrics.instruments import MAX_UNFOLDED, Counter, Gauge, Shared, Stat, Total, Values


def test_a_counter_grows() -> None:
    counter = Counter()
    counter.value += 1
    counter.incr()
    counter.incr(3)
    assert counter.value == 5


def test_a_total_is_what_its_parts_come_to_each_counted_once() -> None:
    total, one, other = Total(), Counter(), Counter()
    total.add_up([one])
    total.add_up([one, other])
    one.incr(2)
    other.incr(3)
    assert total.value == 5


def test_a_gauge_shows_what_was_written_or_what_its_function_says() -> None:
    gauge = Gauge()
    gauge.value += 2
    assert gauge.read() == 2
    gauge.fn = lambda: 7.5
    assert gauge.read() == 7.5
    gauge.fn = lambda: gauge.value == 2
    assert gauge.read() is not True
    assert gauge.read() == 1


def test_a_stat_is_read_at_once_and_summarised_per_interval() -> None:
    stat = Stat()
    stat.add(10)
    stat.add(20.9)
    assert (stat.read().count, stat.read().sum) == (2, 30)
    assert stat.last is None
    assert stat.snapshot().max == 20
    stat.add(5)
    stat.snapshot()
    assert stat.last is not None
    assert (stat.last.count, stat.last.max) == (1, 5)
    assert stat.snapshot() == Summary()
    assert (stat.read().count, stat.read().sum) == (3, 35)


def test_a_stat_that_nobody_folds_stays_bounded() -> None:
    stat = Stat()
    for value in range(MAX_UNFOLDED + 10):
        stat.add(value)
    assert stat.read().count == MAX_UNFOLDED
    assert 0 not in stat.read().counts


def test_folding_leaves_the_add_that_callers_keep_valid() -> None:
    stat = Stat()
    add = stat.add
    add(1)
    stat.fold()
    add(2)
    assert stat.read().counts == {1: 1, 2: 1}


def test_what_was_read_before_does_not_change() -> None:
    stat = Stat()
    stat.add(1)
    before = stat.read()
    stat.add(1)
    assert stat.read().count == 2
    assert before.count == 1


def test_what_another_process_added_is_read_with_the_rest() -> None:
    here, there = Stat(), Stat()
    here.add(10)
    there.add(20)
    here.merge(there.read())
    assert (here.read().count, here.read().sum, here.snapshot().max) == (2, 30, 20)


def test_recent_is_the_last_interval_and_the_running_one() -> None:
    stat = Stat()
    for value in (1, 2, 3):
        stat.add(value)
        stat.snapshot()
    stat.add(4)
    assert stat.recent().counts == {3: 1, 4: 1}
    assert stat.read().count == 4


def test_a_stat_includes_what_is_written_once_for_several() -> None:
    one, other, shared = Stat(), Stat(), Values()
    for stat in (one, other, one):
        stat.add_up([shared])
    shared.add(10)
    one.add(1)
    assert (one.read().sum, other.read().sum) == (11, 10)
    assert one.snapshot().count == 2
    shared.add(5)
    assert one.recent().sum == 16
    assert (one.snapshot().sum, one.snapshot().count) == (5, 0)


def test_reading_gives_the_same_histogram_until_there_is_more() -> None:
    stat, shared = Stat(), Values()
    stat.add_up([shared])
    assert stat.read() is stat.read()
    stat.add(1)
    shared.add(2)
    before = stat.read()
    assert stat.read() is before
    shared.add(3)
    assert stat.read().count == before.count + 1


def test_folding_a_stat_empties_the_queues_of_its_parts() -> None:
    stat, shared = Stat(), Values()
    stat.add_up([shared])
    for _ in range(2):
        for _ in range(MAX_UNFOLDED):
            shared.add(1)
        stat.fold()
    assert stat.read().count == 2 * MAX_UNFOLDED


def test_what_is_shared_is_written_once_for_all() -> None:
    totals, stats = [Total(), Total()], [Stat(), Stat()]
    shared = [Shared(totals, stats), Shared(totals[:1], stats[:1])]
    for one in shared:
        one.add(20)
    for _ in range(2):  # before and after the values are folded
        assert [total.value for total in totals] == [2, 1]
        assert [stat.read().sum for stat in stats] == [40, 20]
    stats[0].add(1)
    assert totals[0].value == 2
