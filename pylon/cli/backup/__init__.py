"""`pylon backup` and `pylon restore`: all jobs of a deployment in one file."""
