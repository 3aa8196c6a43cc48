"""Namers: what each service discovery knows (linkerd: namer/*)."""
