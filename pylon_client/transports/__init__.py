"""The transports of the client: calls and streams over NATS and over HTTP."""
