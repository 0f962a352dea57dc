"""`pylon up`: supervises NATS, a worker, the bridge and optionally the devnet."""
