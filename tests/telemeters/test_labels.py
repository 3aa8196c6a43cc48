"""Names and labels of scopes; test_prometheus and test_influxdb show them in lines."""

import re

from hypothesis import given
from hypothesis import strategies as st

from meshproxy.telemeters.labels import placed

CLIENT = ("rt", "out", "client", "$/inet/a/1")


def test_errors_are_labels_where_wanted() -> None:
    scope = (*CLIENT, "failures", "a", "b")
    assert placed(scope) == (
        "rt:client:failures",
        {"rt": "out", "client": "$/inet/a/1", "exception": "a:b"},
    )
    assert placed(scope, exceptions=False) == (
        "rt:client:failures:a:b",
        {"rt": "out", "client": "$/inet/a/1"},
    )


@given(st.lists(st.text(), min_size=1).map(tuple))
def test_any_name_gives_a_name_that_both_formats_allow(scope: tuple[str, ...]) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9:_]*", placed(scope)[0])
    assert re.fullmatch(r"rt:client[a-zA-Z0-9:_]*", placed((*CLIENT, *scope))[0])
