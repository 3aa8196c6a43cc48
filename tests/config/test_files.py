"""Files that a configuration names: beside it first, then in the working directory."""

from pathlib import Path

import pytest

from meshproxy.config.errors import ConfigErrors
from meshproxy.config.files import Directory, MissingFile, RegularFile, find_file
from meshproxy.config.load import load

CONFIG = """\
routers:
- protocol: http
  interpreter: {kind: io.l5d.fs, dtabFile: dtabs/one}
  servers: [{port: 0}]
"""


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Make a directory for the configuration and one to work in."""
    beside, working = tmp_path / "etc", tmp_path / "work"
    for place in (beside, working):
        (place / "dtabs").mkdir(parents=True)
    monkeypatch.chdir(working)
    monkeypatch.setenv("HOME", str(tmp_path))
    return beside, working


def test_beside_the_configuration_comes_before_the_working_directory(
    places: tuple[Path, Path],
) -> None:
    beside, working = places
    (working / "dtabs/one").touch()
    assert find_file(RegularFile, "dtabs/one", beside) == str(working / "dtabs/one")
    (beside / "dtabs/one").touch()
    assert find_file(RegularFile, "dtabs/one", beside) == str(beside / "dtabs/one")
    assert find_file(Directory, "dtabs", beside) == str(beside / "dtabs")


def test_what_is_of_another_kind_is_looked_past(places: tuple[Path, Path]) -> None:
    beside, working = places
    (beside / "dtabs/one").mkdir()
    (working / "dtabs/one").touch()
    assert find_file(RegularFile, "dtabs/one", beside) == str(working / "dtabs/one")
    assert find_file(Directory, "dtabs/one", beside) == str(beside / "dtabs/one")


def test_absolute_paths_and_those_at_home_stand_for_themselves(places: tuple[Path, Path]) -> None:
    beside, working = places
    assert find_file(Directory, str(working), beside) == str(working)
    assert find_file(Directory, "~/etc", beside) == str(beside)


def test_the_error_says_where_it_was_looked_for(places: tuple[Path, Path]) -> None:
    beside, working = places
    for kind, text, where, what in (
        (RegularFile, "no.pem", beside, f"file in {beside}, where this configuration is, and none"),
        (RegularFile, "no.pem", beside, f"none in {working}, the working directory: create it"),
        (Directory, "no", working, f"no is not a directory in {working}, where this configuration"),
        (Directory, "no", working, "where this configuration is: create it or name another"),
        (RegularFile, "/no", beside, "/no is not a file: create it or name another"),
        (RegularFile, str(beside), beside, "etc is not a file: create"),
        (RegularFile, "a" * 5000, beside, "is not a file in"),
        (RegularFile, "~nobody-of-this-name/x", beside, "is not a file in"),
    ):
        with pytest.raises(MissingFile) as caught:
            find_file(kind, text, where)
        assert what in str(caught.value)


def test_a_configuration_works_from_any_directory(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, _ = places
    name = str(beside / "meshproxy.yaml")
    with pytest.raises(ConfigErrors, match=r"interpreter\.dtabFile: dtabs/one is not a"):
        load(CONFIG, name)
    (beside / "dtabs/one").touch()
    from_elsewhere = load(CONFIG, name)
    monkeypatch.chdir(beside)
    assert from_elsewhere == load(CONFIG, "meshproxy.yaml") == load(CONFIG, "<stdin>")
