"""HTTP/1.1 as a client speaks it, over connections that urllib3 makes and pools."""
