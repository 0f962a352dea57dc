"""`pylon watch` and `pylon jobs`: show events and jobs in the terminal."""
