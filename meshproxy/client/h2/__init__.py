"""HTTP/2 on the client side: sessions to an endpoint, and the exchanges on their streams."""
