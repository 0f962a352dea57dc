"""`pylon watch` and `pylon jobs`: what happens, in the terminal."""
