"""Balancers choose the endpoint for each request; one file for each kind."""
