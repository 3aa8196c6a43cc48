"""The latest requests: what is recorded of each, for how long, and who sees them at once."""
