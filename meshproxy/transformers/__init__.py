"""Transformers change the addresses of bound names (linkerd: interpreter/{subnet,k8s})."""
