"""Announcers: publish the addresses of servers (linkerd: announcer/*)."""
