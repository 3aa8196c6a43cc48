"""The protocols of routers: their configuration and how they are built."""
