"""Egress rules: who may send requests where. Nothing here does IO."""
