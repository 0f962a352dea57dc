"""Requests over NATS: the server that receives them, one call, and discovery."""
