"""The command line sets up the log of its process, which here is that of every test."""

import logging
import sys
from collections.abc import Iterator

import gevent
import pytest


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Undo what the command under test did to the process's log."""
    ours, hub = logging.getLogger("meshproxy"), gevent.get_hub()
    level, hooks = ours.level, (sys.excepthook, sys.unraisablehook)
    yield
    ours.setLevel(level)
    sys.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    vars(hub).pop("print_exception", None)
