"""The runtime that the devnet claims to run: its declarations and the metadata made of them."""
