"""HTTP/2 connections on sockets: `h2/` is the protocol, here are its reads, writes and waits."""
