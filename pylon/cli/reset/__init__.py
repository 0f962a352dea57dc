"""`pylon reset`: setting the state of one chain aside, so that another can be served."""
