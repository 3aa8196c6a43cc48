"""HTTP/2 without IO (RFC 9113) and its field compression, HPACK (RFC 7541)."""
