"""Tests stand where their source stands: meshproxy/a/b.py has tests/a/test_b.py."""

from pathlib import Path

from tests.test_floors import FLOOR, SOURCES, room

ROOT = Path(__file__).parent.parent
TESTS = Path(__file__).parent
OF_THE_WHOLE = {
    "test_architecture.py",
    "test_conf.py",
    "test_docstrings.py",
    "test_floors.py",
    "test_mirror.py",
    "test_threats.py",
}
WITHOUT_SOURCE = {"e2e", "kit", "demo", "vectors", "corpus", "fuzz", "bench"}


def mirror(source: Path) -> Path:
    """Name the test file that *source* must have."""
    inside = source.relative_to(ROOT / "meshproxy")
    return TESTS / inside.with_name(f"test_{inside.name}")


def test_every_source_file_of_the_lower_floors_has_its_test() -> None:
    missing = [
        str(mirror(source).relative_to(ROOT))
        for source in SOURCES
        if FLOOR.get(room(source), 0) <= 3
        and source.name != "__init__.py"
        and not mirror(source).exists()
    ]
    assert missing == []


def test_every_test_file_has_its_source() -> None:
    strays = [
        str(test.relative_to(ROOT))
        for test in TESTS.rglob("test_*.py")
        if test.name not in OF_THE_WHOLE
        and test.relative_to(TESTS).parts[0] not in WITHOUT_SOURCE
        and not _source(test).exists()
    ]
    assert strays == []


def _source(test: Path) -> Path:
    inside = test.relative_to(TESTS)
    return ROOT / "meshproxy" / inside.with_name(inside.name.removeprefix("test_"))
