"""`pylon reset`: set the state of one chain aside, so that another chain can be served."""
