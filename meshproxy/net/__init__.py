"""Sockets and timers of the hot path, over gevent's loop."""
