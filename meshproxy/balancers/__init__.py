"""Which endpoint of a client gets the next request; one file for each kind."""
