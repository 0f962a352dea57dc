"""The worker process: composition, supervision, health and metrics."""
