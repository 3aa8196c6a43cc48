"""One process empties and rolls the files that others append to."""

from pathlib import Path

import pytest

from meshproxy.config.load import load
from meshproxy.config.schema import LinkerConfig
from meshproxy.runtime.log_rolling import LogRolling
from tests.e2e.test_routing import config
from tests.kit.k8s import wait_until


def logged(path: Path, *keys: str) -> LinkerConfig:
    """Return a configuration with an access log at *path*."""
    lines = "\n".join(f"  httpAccessLog{key}" for key in (f": {path}", *keys))
    return load(config(1, lines), "a.yaml")


def test_a_file_is_rolled_by_what_others_have_written(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    rolling = LogRolling()
    rolling.follow(logged(path, "RollPolicy: 100.bytes"))
    with path.open("a") as others:
        others.write("x" * 200 + "\n")
    wait_until(lambda: len(list(tmp_path.glob("a-*.log"))) == 1)
    assert path.read_text() == ""
    rolling.close()


def test_a_file_is_emptied_once_and_not_by_a_reload(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("old\n")
    written = logged(path, "Append: false")
    rolling = LogRolling()
    rolling.follow(written)
    assert path.read_text() == ""
    path.write_text("new\n")
    rolling.follow(written)
    assert path.read_text() == "new\n"
    rolling.close()


def test_a_file_that_is_only_appended_to_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    rolling = LogRolling()
    rolling.follow(logged(path))
    assert not path.exists()
    rolling.close()


def test_a_file_that_cannot_be_opened_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written = logged(tmp_path / "gone" / "a.log", "RollPolicy: daily")
    rolling = LogRolling()
    rolling.follow(written)
    rolling.follow(written)
    assert caplog.text.count("cannot be rolled") == 1
    rolling.close()
