"""Access to the chain: a port with Pylon's models, and its implementation with the SDK."""
