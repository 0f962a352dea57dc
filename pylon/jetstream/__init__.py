"""What a worker needs of NATS: a server, its users, streams, and requests to serve."""
