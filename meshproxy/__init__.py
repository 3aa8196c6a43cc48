"""meshproxy: the Linkerd 1.x HTTP data plane on gevent, egress first."""

__version__ = "0.1.0"
