"""Exporters, which read the metrics tree and take no part in requests."""
