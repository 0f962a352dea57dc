"""`pylon check`: find the problems of a deployment and their remedies."""
