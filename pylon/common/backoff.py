"""Backoff for the processes of the service; the client has the implementation."""

from pylon_client.exponential_backoff import Backoff

__all__ = ["Backoff"]
