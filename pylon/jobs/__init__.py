"""Jobs: writes to the chain that are carried out exactly once, from the request to final blocks."""
