"""`pylon check`: whether a deployment could do its work, and what to do where it could not."""
