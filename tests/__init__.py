"""The suite: one file for each source file, the kit they share, the demo, the bench and the soak.

Whatever of it is run without the extra `test` ends here.
"""

from importlib.util import find_spec

MISSING = [name for name in ("gevent", "h11", "trustme", "yaml") if find_spec(name) is None]
if MISSING:
    raise SystemExit(f"not installed: {', '.join(MISSING)}; run: pip install -e '.[test]'")
