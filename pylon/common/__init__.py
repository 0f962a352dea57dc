"""Parts that every process of Pylon shares: settings, secrets, logs, metrics and supervision."""
