"""Storage behind the memory of a server."""
