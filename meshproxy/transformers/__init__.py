"""What changes the addresses of bound names (linkerd: interpreter/subnet, interpreter/k8s)."""
