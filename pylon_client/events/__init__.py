"""Published events: feeds, sequences and streams that resume."""
