"""Lint: what a configuration says that is valid, and cannot be what was meant."""
