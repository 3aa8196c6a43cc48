"""A process that is short of descriptors, for tests in this one."""

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def few_descriptors(share: float, limit: int = 300) -> Iterator[None]:
    """Have *limit* descriptors at most meanwhile, and *share* of them in use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as held:
        number = 0
        while number < limit * share:  # by files, since gevent puts off os.close
            number = held.enter_context(Path(os.devnull).open("rb")).fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
