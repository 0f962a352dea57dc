"""Connections to NATS and requests over them."""
