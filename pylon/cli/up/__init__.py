"""`pylon up`: NATS, a worker, the bridge and, if wanted, the devnet, as one process tree."""
