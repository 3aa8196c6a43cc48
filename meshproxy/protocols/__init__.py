"""The protocols of routers: what the keys of each become."""
