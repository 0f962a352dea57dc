"""Execution of queries with the SDK: one module per kind of data."""
