"""What a request is called: its logical name, one kind a file (linkerd: router/http)."""
