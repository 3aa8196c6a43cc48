"""The command line sets up the log of its process, which here is that of every test."""

import logging
import sys
from collections.abc import Iterator

import gevent
import pytest


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Undo what the command under test did to the process's log."""
    ours, hub, hook = logging.getLogger("meshproxy"), gevent.get_hub(), sys.excepthook
    level = ours.level
    yield
    ours.setLevel(level)
    sys.excepthook = hook
    vars(hub).pop("print_exception", None)
