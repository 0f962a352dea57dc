"""The embedded nats-server, its users and permissions, and the configuration written for it."""
