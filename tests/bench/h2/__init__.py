"""What a request costs, side by side with other proxies: `python -m tests.bench --help`."""
