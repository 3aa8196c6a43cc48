"""The admin pages: metrics, state and control over HTTP."""
