"""What Pylon costs, as ratios to the bare parts that it is made of: `python -m bench`."""
