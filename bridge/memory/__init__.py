"""The newest blocks and neurons in the bridge's memory, from which it serves reads."""
