"""HTTP/2 on the server side."""
