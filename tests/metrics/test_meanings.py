"""Full names and the entries of the list that explain them."""

import pytest

from meshproxy.metrics.meanings import entry_of
from meshproxy.metrics.names import patterns


@pytest.mark.parametrize(
    ("scope", "meaning"),
    [
        ("rt a server s requests", "Requests that ended."),
        ("rt a server s status 200", "Responses by status, and by its class as `2XX`."),
        ("rt a server s status error", "Requests that ended without a response."),
        ("rt a client $/inet/127.1/80 service svc/a pending", "Requests in progress."),
        ("process rss", "Bytes of resident memory."),
    ],
)
def test_a_name_has_the_entry_that_fits_it_best(scope: str, meaning: str) -> None:
    entry = entry_of(tuple(scope.split()))
    assert entry is not None
    assert entry.meaning == meaning


@pytest.mark.parametrize("scope", ["", "rt", "rt a", "rt a server s requests more", "other"])
def test_what_is_not_listed_has_none(scope: str) -> None:
    assert entry_of(tuple(scope.split())) is None


def test_every_entry_is_found_by_its_own_name() -> None:
    assert [pattern for pattern, metric in patterns() if entry_of(pattern) is not metric] == []
