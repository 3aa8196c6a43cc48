"""SRV records as values."""

from meshproxy.naming.services import ServiceRecord, Services


def test_records_are_in_the_order_of_their_priority_first() -> None:
    backup, main = ServiceRecord(10, 1, "a.test", 80), ServiceRecord(0, 5, "b.test", 80)
    assert min(backup, main) is main
    assert Services((backup, main), 5.0) == Services((backup, main), 5.0)
