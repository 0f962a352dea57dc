"""Blocks: follow the head of the chain, publish every block once and in order, serve snapshots."""
