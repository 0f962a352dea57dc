"""Reads: from the newest snapshots, or from the chain with one request per query."""
