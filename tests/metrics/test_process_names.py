"""The part of the list that is about the process itself."""

import pytest

from meshproxy.metrics.meanings import entry_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("process/up", "gauge"),
        ("workers/restarts", "counter"),
        ("reload/ok", "counter"),
        ("tap/readers", "gauge"),
    ],
)
def test_the_process_is_in_the_list(name: str, kind: str) -> None:
    entry = entry_of(tuple(name.split("/")))
    assert entry is not None
    assert entry.kind == kind
