"""The files of conf/, which every installation has; in a checkout, meshproxy/conf is a link."""

from pathlib import Path
from typing import Final

_CONF: Final = Path(__file__).parent.parent / "conf"


def names() -> tuple[str, ...]:
    """Returns the names of all files: their paths inside conf/ without `.yaml`."""
    files = [file for file in _CONF.rglob("*") if file.is_file()]
    return tuple(sorted(str(file.relative_to(_CONF)).removesuffix(".yaml") for file in files))


def file(name: str) -> Path:
    """Returns the file called *name*, which must be one of `names`."""
    return next(one for one in (_CONF / f"{name}.yaml", _CONF / name) if one.is_file())
