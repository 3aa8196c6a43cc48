"""The suite: one file for each source file, the kit they share, the demo, the bench and the soak.

Whatever of it is run without the extra `test` ends here. Processes that it starts keep bytecode,
even if this one does not: hundreds of them import the same modules.
"""

import os
from importlib.util import find_spec

MISSING = [name for name in ("gevent", "h11", "trustme", "yaml") if find_spec(name) is None]
if MISSING:
    raise SystemExit(f"not installed: {', '.join(MISSING)}; run: pip install -e '.[test]'")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
