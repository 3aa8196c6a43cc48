"""A process and its life: what the configuration becomes, and how it starts and stops."""
