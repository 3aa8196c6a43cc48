"""Large JSON is the same as small, and nobody waits for it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshproxy.admin import json_text as module
from meshproxy.admin.json_text import json_text
from meshproxy.net.slices import Slices

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
)


class Rests(Slices):
    """Counts how often others could have run."""

    count = 0

    def rest(self) -> None:
        self.count += 1


class Written(dict[str, Any]):
    """An object that notes when it is written."""

    def __init__(self, seen: list[int], rests: Rests) -> None:
        super().__init__(a=1)
        self._seen, self._rests = seen, rests

    def items(self) -> Any:
        self._seen.append(self._rests.count)
        return super().items()


@pytest.fixture
def _a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 1)


@given(VALUES)
def test_it_is_what_json_makes_of_it(value: Any) -> None:
    assert json_text(value, Rests()) == json.dumps(value)
    assert json_text(value, Rests(), pretty=True) == json.dumps(value, indent=2, sort_keys=True)


@pytest.mark.parametrize(
    "value",
    [
        {str(number): number for number in range(5000)},
        list(range(5000)),
        {"a": {str(number): {"b": [number]} for number in range(5000)}},
        [{"a": number} for number in range(5000)],
    ],
    ids=["flat", "list", "tree", "rows"],
)
@pytest.mark.parametrize("pretty", [False, True])
@pytest.mark.usefixtures("_a_piece_at_a_time")
def test_others_may_run_often_while_much_is_written(value: Any, *, pretty: bool) -> None:
    rests = Rests()
    found = json_text(value, rests, pretty=pretty)
    assert found == json.dumps(value, indent=2 if pretty else None, sort_keys=pretty)
    assert rests.count >= 50


@pytest.mark.usefixtures("_a_piece_at_a_time")
def test_others_may_run_between_two_members_however_deep() -> None:
    rests, seen = Rests(), []
    json_text({"a": {"b": [Written(seen, rests) for _ in range(3)]}}, rests)
    assert len(set(seen)) == 3
