"""The server side: listeners, their connections, and the limits that clients are held to."""
