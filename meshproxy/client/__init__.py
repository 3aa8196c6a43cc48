"""Where requests go out: endpoints, their pooled connections, TLS, and one exchange at a time."""
