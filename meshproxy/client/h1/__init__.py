"""HTTP/1.1 on the client side, over connections that urllib3 makes and pools."""
