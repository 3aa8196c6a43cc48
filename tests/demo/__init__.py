"""The article's world on one machine, and its three curls."""
