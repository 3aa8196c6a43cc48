"""Reads files of cases and runs each by its kind."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from tests.vectors import h2, headers, loadband, naming, telemetry, traffic

Case: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[Case], "tuple[object, object]"]
"""Runs one case; what was expected and what came out, equal when it passes."""

KINDS: dict[str, Check] = {
    **naming.KINDS,
    **traffic.KINDS,
    **loadband.KINDS,
    **headers.KINDS,
    **telemetry.KINDS,
}
GROUPS: dict[str, Check] = {**h2.KINDS}
"""Those of files that map each kind to its cases."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that did not pass."""

    case: str
    kind: str
    expected: object
    got: object

    def __str__(self) -> str:
        return (
            f"FAILED {self.case} ({self.kind})\n  expected: {self.expected}\n  got:      {self.got}"
        )


def cases_of(file: Path) -> list[Case]:
    """Read the cases of *file*.

    Raises:
        ValueError: it is no file of cases.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(str(error)) from error
    match content:
        case {"cases": list(cases)}:
            return cases
        case dict() if content and all(isinstance(group, list) for group in content.values()):
            return [{"group": name, **case} for name, group in content.items() for case in group]
    raise ValueError("no list of `cases`")


def run(case: Case) -> Failure | None:
    """Run one case; an unknown kind and an exception are failures."""
    name, group = str(case.get("id")), case.get("group")
    kind = str(case.get("kind") if group is None else group)
    known = KINDS if group is None else GROUPS
    check = known.get(kind)
    if check is None:
        return Failure(name, kind, f"a kind among {', '.join(sorted(known))}", "an unknown kind")
    try:
        expected, got = check(case)
    except Exception as error:  # noqa: BLE001 - whatever breaks a case is its result
        return Failure(name, kind, "no exception", f"{type(error).__name__}: {error}")
    return None if expected == got else Failure(name, kind, expected, got)


def run_file(file: Path) -> Iterator[Failure | None]:
    """Run every case of *file*; a file that cannot be read is one failure."""
    try:
        cases = cases_of(file)
    except ValueError as error:
        yield Failure(str(file), "file", "a file of cases", error)
        return
    for case in cases:
        yield run(case) if isinstance(case, dict) else Failure(str(case), "?", "a mapping", case)
