"""How a worker is watched: its metrics and its health."""
