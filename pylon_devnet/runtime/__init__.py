"""The simulated runtime: its declarations, and the metadata generated from them."""
