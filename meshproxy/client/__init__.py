"""The client side: endpoints, their pooled connections, TLS, and single exchanges."""
