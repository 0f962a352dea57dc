"""Answering reads: from the newest snapshots, or from the chain with one flight per question."""
