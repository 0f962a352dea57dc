"""Writes that are never lost and never doubled: from what was asked to what stands on the chain."""
