"""The static table is the RFC's."""

from hpack.table import HeaderTable

from meshproxy.h2.static_table import INDEX_OF, NAME_INDEX_OF, STATIC, size_of


def test_the_entries_are_those_of_the_rfc() -> None:
    assert STATIC[1:] == tuple(HeaderTable.STATIC_TABLE)
    assert INDEX_OF[b":status", b"500"] == 14
    assert NAME_INDEX_OF[b":status"] == 8


def test_an_entry_counts_32_bytes_more_than_it_has() -> None:
    assert size_of(b"custom-key", b"custom-header") == 55
