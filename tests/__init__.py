"""The tests, and the programs beside them: tests.demo, tests.bench, tests.fuzz, tests.soak."""

from importlib.util import find_spec

MISSING = [name for name in ("gevent", "h11", "trustme", "yaml") if find_spec(name) is None]
if MISSING:
    raise SystemExit(f"not installed: {', '.join(MISSING)}; run: pip install -e '.[test]'")
