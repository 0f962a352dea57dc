"""Published events: their types, the publisher, the log in JetStream, and replay."""
