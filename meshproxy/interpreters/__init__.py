"""Interpreters bind logical names to replica sets (linkerd: interpreter/*)."""
