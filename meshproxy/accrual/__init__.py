"""Circuit breakers: one for each endpoint of a client."""
