"""How requests leave the process: over HTTP or over NATS."""
