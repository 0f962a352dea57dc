"""`pylon watch`: show events and jobs in the terminal as they change."""
