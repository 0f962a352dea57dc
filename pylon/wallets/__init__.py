"""Hotkeys on disk, and the public addresses of identities."""
