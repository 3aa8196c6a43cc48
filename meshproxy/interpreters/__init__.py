"""Interpreters: how logical names become replica sets (linkerd: interpreter/*)."""
