"""Namers look names up in a service discovery (linkerd: namer/*)."""
