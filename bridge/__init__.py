"""The REST side of Pylon: HTTP requests become NATS requests, and nothing more."""
