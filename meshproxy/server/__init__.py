"""Where requests come in: listeners, connections, and what a client may do to them."""
