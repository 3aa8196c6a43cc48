"""HTTP/1.1 as values: messages, heads, framing, hop-by-hop rules. No sockets."""
