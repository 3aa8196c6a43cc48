"""Follows the API of a discovery system over HTTP while it is observed."""
