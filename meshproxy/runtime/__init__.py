"""The process: it turns a configuration into a running proxy, and starts and stops it."""
