"""The REST API of Pylon: translates HTTP requests into NATS requests."""
