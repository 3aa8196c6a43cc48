"""What the Kubernetes API says of services, followed as it changes (linkerd: k8s/)."""
