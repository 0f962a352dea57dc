"""The chain as the rest of the service sees it: a port in our words, and the SDK behind it."""
