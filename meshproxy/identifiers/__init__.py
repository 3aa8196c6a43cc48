"""Identifiers give a request its logical name; one file for each kind (linkerd: router/http)."""
