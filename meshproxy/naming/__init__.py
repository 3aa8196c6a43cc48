"""Names as values: paths, trees, delegation tables, addresses (linkerd: namer/core, finagle)."""
