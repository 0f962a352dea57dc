"""`pylon jobs`: list, show and cancel jobs."""
