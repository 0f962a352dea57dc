"""The fast lane: hot reads are answered without the framework."""
