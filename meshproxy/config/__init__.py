"""The configuration file: what may be written, what it means, and what is wrong with it."""
