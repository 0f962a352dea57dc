"""`pylon backup` and `pylon restore`: the jobs of a deployment in one file."""
