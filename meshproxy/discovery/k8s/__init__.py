"""Follows services in the Kubernetes API as they change (linkerd: k8s/)."""
