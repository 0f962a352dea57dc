"""Benchmarks: the cost of Pylon as ratios to its bare parts. `python -m bench`."""
