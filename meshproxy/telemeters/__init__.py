"""Exporters: they read the metrics tree and never take part in a request."""
