"""The Pylon service: chain workers, their NATS side, and the command line."""
