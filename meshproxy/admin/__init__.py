"""The operator's door: metrics, state and shutdown over HTTP."""
