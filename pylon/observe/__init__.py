"""How a worker is watched: its logs, and later its metrics and health."""
