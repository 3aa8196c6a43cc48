"""HTTP/1.1 and 1.0 as a server speaks it."""
